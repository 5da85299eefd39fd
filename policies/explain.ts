/**
 * What a policy says of one access, and by which of its lines. Pure: like the decision itself it takes real paths and looks at no disk.
 *
 *     explain(readDocument(text, 'policy.yaml'), { kind: 'write', path: '/home/anna/ledger/sum.txt' }, '/home/anna/ledger')
 *     // { answer: 'ask', because: 'policy.yaml:5: ask.0 lets writing . be asked for' }
 */
import { isIPv4 } from 'node:net'
import { hostRefusal } from './address.js'
import { answerToConnect, covers, deepestGrant, entryOf, type Grant, isKernels, isWithin, scopeOf } from './coverage.js'
import type { Document } from './document.js'
import { isInterpreter } from './interpreter.js'
import { binaryLine, reach, readConnection } from './network.js'
import { type Access, type AccessKind, type Profile, profileOf } from './profile.js'

export type Answer = 'allow' | 'ask' | 'deny'

export interface Ruling {
  readonly answer: Answer
  /** With the line where there is one. */
  readonly because: string
}

const doing: Record<AccessKind, string> = {
  read: 'reading',
  write: 'writing',
  execute: 'executing',
  connect: 'connecting to',
}

/** @param access a path, or to be executed `tool:NAME` */
export function explain(document: Document, access: Access, workspace: string): Ruling {
  const profile = profileOf(document)
  const answer = answerTo(profile, access, workspace)
  return {
    answer,
    because: `${reason(document, profile, access, workspace, answer)}${ofOwnTmp(access, workspace, answer)}`,
  }
}

/** Where programs put what is theirs they do not see the machine's. */
function ofOwnTmp({ kind, path }: Access, workspace: string, answer: Answer): string {
  const isOfMachine = (kind === 'read' || kind === 'write') && isWithin(path, '/tmp') && !isWithin(path, workspace)
  if (!isOfMachine || answer === 'allow') return ''
  return '; that is the machine’s /tmp: a program has one of its own, empty and its to write, and is not asked about this one while it runs'
}

export function answerTo(profile: Profile, { kind, path }: Access, workspace: string): Answer {
  if (kind === 'connect') return answerToConnect(profile, path, workspace)
  const need = {
    read: kind === 'read' ? [path] : [],
    write: kind === 'write' ? [path] : [],
    program: kind === 'execute' ? path : 'tool:none',
  }
  const { covered, askable } = covers(profile, need, workspace)
  return covered ? 'allow' : askable ? 'ask' : 'deny'
}

function reason(document: Document, profile: Profile, access: Access, workspace: string, answer: Answer): string {
  const { kind, path } = access
  if (kind === 'connect') return connectReason(document, profile, access, workspace)
  if (path.startsWith('tool:')) return 'a tool of the closed set brings its own program'
  if (isKernels(path)) return 'it is the kernel’s: no policy grants it and nobody is asked for it'
  const grant = deepestGrant(profile, path, workspace)
  const line = grant && placeOf(document, grant)
  if (grant?.list === 'hidden') return `${line} hides ${grant.path}, and nobody is asked for it`
  if (grant && answer === 'allow') return `${line} grants ${kind === 'write' ? 'writing' : doing[kind]} ${grant.path}`
  const scope = scopeOf(profile, access, workspace)
  if (scope) return `${whereIs(document, 'ask', scope)} lets ${doing[kind]} ${scope.path} be asked for`
  if (!grant) return `nothing grants ${doing[kind]} it, and no entry of ask lets it be asked for`
  if (kind === 'execute' && isWithin(path, workspace)) return 'nothing in the workspace is a program'
  if (kind === 'execute' && grant.list === 'read') return `${at(document, 'exec')} does not name it`
  if (kind === 'execute') return `${line} grants writing ${grant.path}, and what can be written is no program`
  if (entryOf(profile, access, workspace))
    return `${line} lets what is in ${grant.path} be executed, and what may be executed is not written: \`exec\` lists what may be`
  return `${line} grants ${grant.path} for reading only, and no entry of ask lets it be written`
}

function connectReason(document: Document, profile: Profile, access: Access, workspace: string): string {
  const connection = readConnection(access.path)
  if (!connection) return 'it is not HOST:PORT'
  const { host } = connection
  if (hostRefusal(host, [host]) === 'never reached') return `${host} is reached by nobody, whatever a policy says`
  const reached = reach(profile.network, connection)
  if (reached) {
    const { rule, endpoint } = reached
    const line = at(document, `network_policies.${rule.name}.endpoints.${rule.endpoints.indexOf(endpoint)}`)
    const refusal = hostRefusal(host, endpoint.allowedIps)
    if (refusal === 'private') return `${line} names ${host}, which is private: ${allowedIps(host)} is missing there`
    if (refusal) return `${line} names ${host}, which is not among its allowed_ips`
    return `${line} lets ${rule.binaries.map(binaryLine).join(', ')} connect to ${endpoint.host}`
  }
  const scope = scopeOf(profile, access, workspace)
  if (scope) {
    const line = `${whereIs(document, 'ask', scope)} lets ${doing.connect} ${scope.path} be asked for`
    if (!hostRefusal(host, []))
      return isIPv4(host) ? line : `${line}; if that name leads to a private address, a yes does not reach it`
    return `${line}, but ${host} is private, and no yes reaches that: a rule of network_policies does, whose endpoint says ${allowedIps(host)}`
  }
  const { programs: _, ...anybody } = connection
  const others = reach(profile.network, anybody)
  if (others) {
    const isScript = connection.programs?.some(isInterpreter) && !connection.script
    const what = isScript ? 'names no such program for whatever it runs' : 'names other programs'
    return `${at(document, `network_policies.${others.rule.name}.binaries`)} ${what}`
  }
  return 'nothing lets it be connected to, and no entry of ask lets it be asked for'
}

const allowedIps = (host: string) => `\`allowed_ips: [${isIPv4(host) ? host : '127.0.0.1, "::1"'}]\``

function placeOf(document: Document, { list, path }: Grant): string {
  if (list === 'hidden') return whereIs(document, 'filesystem_policy.hidden', path)
  if (list === 'read') return whereIs(document, 'filesystem_policy.read_only', path)
  const listed = whereIs(document, 'filesystem_policy.read_write', path)
  return listed.endsWith('read_write') && path === '.' ? at(document, 'filesystem_policy.include_workdir') : listed
}

/** The entry of a list that says this, as SOURCE:LINE: FIELD. */
function whereIs(document: Document, list: string, said: string | Access): string {
  const entries = list.split('.').reduce<unknown>(memberOf, document.value)
  const index = Array.isArray(entries) ? entries.findIndex((entry) => saysSo(entry, said)) : -1
  return at(document, index < 0 ? list : `${list}.${index}`)
}

function saysSo(entry: unknown, said: string | Access): boolean {
  const plain = (path: unknown) => (typeof path === 'string' && path.length > 1 ? path.replace(/\/$/, '') : path)
  return typeof said === 'string' ? plain(entry) === said : plain(memberOf(entry, said.kind)) === said.path
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined
}

function at({ source, lineOf }: Document, field: string): string {
  const keys = field.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key))
  return `${source}:${lineOf(keys)}: ${field}`
}
