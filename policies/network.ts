/**
 * Which program may connect where: the `network_policies` of a profile. Pure: names are compared, none is looked up.
 *
 *     network_policies:
 *       docs:
 *         endpoints: [{ host: docs.example.org, port: 443 }]
 *         binaries: [{ path: /usr/bin/curl }]
 *
 * Names and meanings are OpenShell's. A rule without programs would be for every program that an action can start, so it is refused, and so is each field
 * that is not enforced. A program is what was executed: neither who started it nor a name that it gives itself. An interpreter is what it runs, so a rule for
 * one names the script.
 */
import { BlockList, isIP, isIPv4 } from 'node:net'
import { z } from 'zod'
import { isInterpreter } from './interpreter.js'

export interface Endpoint {
  /** In lower case. `*.` at its beginning stands for one more part of a name, `**.` for one or more. */
  readonly host: string
  readonly ports: readonly number[]
  /** Where given, the host has to be at these addresses, and may be although they are private. */
  readonly allowedIps: readonly string[]
}

export interface NetworkRule {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
  readonly binaries: readonly Binary[]
}

/** Paths are absolute; in them `*` stands for what is between two slashes and `**` for any. */
export interface Binary {
  /** Or `tool:NAME`, the program of that tool. */
  readonly path: string
  /** What an interpreter has to run; `*` for anything. */
  readonly script?: string | undefined
  /** Of the script, or of the program where there is none; in hex. */
  readonly sha256?: string | undefined
}

/** What an interpreter runs. */
export interface Script {
  readonly path: string
  /** In hex; left out where it is not known. */
  readonly sha256?: string | undefined
}

/** What is about to be connected. */
export interface Connection {
  readonly host: string
  readonly port: number
  /** The names that the program goes by; left out: any that a rule names. */
  readonly programs?: readonly string[]
  /** Of the program, in hex. */
  readonly sha256?: string | undefined
  /** What the program runs, where it is an interpreter and that is known. */
  readonly script?: Script | undefined
}

export interface Reached {
  readonly rule: NetworkRule
  readonly endpoint: Endpoint
}

const wholeName = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** A name as it is compared; undefined for what is none. */
export function hostName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '')
  return wholeName.test(name) ? name : undefined
}

const hostPattern = z
  .string()
  .transform((text) => text.toLowerCase().replace(/\.$/, ''))
  .superRefine((text, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message })
    const name = text.replace(/^\*\*?\./, '')
    if (hostName(name) === undefined || (/(^|\.)\d+$/.test(name) && !isIPv4(text)))
      return refuse('must be a host name, an address of version 4, or a name after "*." or "**."')
    if (name !== text && !name.includes('.')) refuse('stands for too many hosts; name a domain')
  })

const port = z.int().min(1).max(65_535)

/** The widest networks that can be named on purpose. */
const widest = { ipv4: 8, ipv6: 16 } as const

const addresses = z.string().superRefine((text, context) => {
  const [address = '', prefix] = text.split('/')
  const version = isIP(address)
  const bits = prefix === undefined ? version * 1000 : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  const kind = version === 4 ? 'ipv4' : 'ipv6'
  if (version === 0 || bits < 0 || (prefix !== undefined && bits > (version === 4 ? 32 : 128)))
    context.addIssue({ code: 'custom', message: 'must be an address, or a network as ADDRESS/BITS' })
  else if (bits < widest[kind])
    context.addIssue({ code: 'custom', message: `names too many addresses: at least /${widest[kind]} is taken` })
})

const notEnforced = (why: string) => z.custom<never>(() => false, { message: why }).optional()
const noHttp = notEnforced('is not enforced: what is said over a connection is not looked into; leave it out')

const endpoint = z
  .strictObject({
    host: hostPattern,
    port: port.optional(),
    ports: z.array(port).min(1).optional(),
    allowed_ips: z.array(addresses).min(1).optional(),
    enforcement: z.literal('enforce', 'only enforce is taken: a connection that is not allowed is not made').optional(),
    protocol: noHttp,
    tls: noHttp,
    access: noHttp,
    rules: noHttp,
    deny_rules: noHttp,
  })
  .refine((given) => (given.port === undefined) !== (given.ports === undefined), 'must name either port or ports')

const binary = z
  .strictObject({
    path: z
      .string()
      .regex(/^(tool:[\w./-]+|\/[^\0]+)$/, 'must be an absolute path, or tool:NAME')
      .refine((path) => !/^[/*]+$/.test(path), 'stands for every program; name the ones that are meant'),
    script: z
      .string()
      .regex(/^(\*|\/[^\0]+)$/, 'must be an absolute path, or "*" for whatever it runs')
      .refine((path) => path === '*' || !/^[/*]+$/.test(path), 'stands for every script; say "*" if that is meant')
      .optional(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256, as 64 digits of hex in small letters')
      .optional(),
  })
  .refine(({ path, script }) => script !== undefined || !isInterpreter(path.replaceAll('*', '')), {
    path: ['script'],
    message: 'is missing: of an interpreter it is the script that counts; name it, or say "*" for whatever it runs',
  })
  .refine(({ path, script }) => script === undefined || !path.startsWith('tool:'), {
    path: ['script'],
    message: 'is not for a tool: that brings its own',
  })

/** By name, as a policy writes them. */
export const networkSchema = z.record(
  z.string(),
  z.strictObject({
    name: z.string().optional(),
    endpoints: z.array(endpoint).min(1, 'must name at least one endpoint'),
    binaries: z
      .array(binary, 'must name the programs that may connect')
      .min(1, 'must name at least one program: a rule without one would be for all'),
  }),
)

export function toRules(parsed: z.output<typeof networkSchema>): NetworkRule[] {
  return Object.entries(parsed).map(([name, { endpoints, binaries }]) => ({
    name,
    endpoints: endpoints.map(({ host, port, ports, allowed_ips }) => ({
      host,
      ports: ports ?? (port === undefined ? [] : [port]),
      allowedIps: allowed_ips ?? [],
    })),
    binaries,
  }))
}

/** The first rule that allows this. */
export function reach(rules: readonly NetworkRule[], connection: Connection): Reached | undefined {
  const { host, port } = connection
  for (const rule of rules) {
    if (!rule.binaries.some((binary) => isBinary(connection, binary))) continue
    const endpoint = rule.endpoints.find((each) => each.ports.includes(port) && isHost(host, each.host))
    if (endpoint) return { rule, endpoint }
  }
  return undefined
}

/** Whether a name means anything to these rules at all, at whatever port and for whichever program. */
export const isNamed = (rules: readonly NetworkRule[], host: string): boolean =>
  rules.some(({ endpoints }) => endpoints.some((endpoint) => isHost(host, endpoint.host)))

export function isHost(host: string, pattern: string): boolean {
  if (pattern === '*') return true
  const [, stars, domain] = /^(\*\*?)(\..+)$/.exec(pattern) ?? []
  if (domain === undefined) return host === pattern
  const before = host.endsWith(domain) ? host.slice(0, -domain.length) : ''
  return before !== '' && (stars === '**' || !before.includes('.'))
}

function isBinary({ programs, script, sha256 }: Connection, binary: Binary): boolean {
  if (!programs) return true
  const program = programs.find((each) => isPath(each, binary.path))
  if (program === undefined) return false
  if (binary.sha256 !== undefined && binary.sha256 !== (binary.script === undefined ? sha256 : script?.sha256))
    return false
  if (binary.script === undefined) return !isInterpreter(program)
  return binary.script === '*' || (script !== undefined && isPath(script.path, binary.script))
}

/** As a person reads it. */
export const binaryLine = ({ path, script, sha256 }: Binary): string =>
  `${path}${script === undefined ? '' : ` running ${script}`}${sha256 === undefined ? '' : ` sha256:${sha256}`}`

function isPath(program: string, pattern: string): boolean {
  if (!pattern.includes('*')) return program === pattern
  const source = pattern
    .split('**')
    .map((part) =>
      part
        .split('*')
        .map((text) => text.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
        .join('[^/]*'),
    )
    .join('.*')
  return new RegExp(`^${source}$`).test(program)
}

/** Addresses and networks, for asking whether one is among them. */
export function addressList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

/** `HOST:PORT`, `HOST:PORT by PROGRAM` or `HOST:PORT by PROGRAM running SCRIPT`, the last two with ` sha256:HEX` of what is named last: a connection in one line. */
export function readConnection(text: string): Connection | undefined {
  const [, name = '', port = '', by] = /^([^ ]+):(\d{1,5})(?: by (.+))?$/.exec(text) ?? []
  const host = hostName(name)
  const number = Number(port)
  if (host === undefined || number < 1 || number > 65_535) return undefined
  const [, program, path, sha256] = /^(.+?)(?: running (.+?))?(?: sha256:([0-9a-f]{64}))?$/.exec(by ?? '') ?? []
  if (program === undefined) return { host, port: number }
  const programs = [program]
  return path === undefined
    ? { host, port: number, programs, sha256 }
    : { host, port: number, programs, script: { path, sha256 } }
}

/** What lets be asked for: `HOST:PORT`, `HOST` at every port, or `*`. */
export const askableHost = z
  .string()
  .transform((text) => text.toLowerCase())
  .superRefine((text, context) => {
    const { success } = hostPattern.safeParse(splitAskable(text).host)
    if (splitAskable(text).host !== '*' && !success)
      context.addIssue({ code: 'custom', message: 'must be HOST, HOST:PORT, "*.DOMAIN", or "*" for any' })
  })

export function isAskable({ host, port }: Connection, entry: string): boolean {
  const asked = splitAskable(entry)
  return isHost(host, asked.host) && (asked.port === undefined || asked.port === port)
}

export function splitAskable(text: string): { host: string; port?: number } {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  return host === undefined ? { host: text } : { host, port: Number(port) }
}
