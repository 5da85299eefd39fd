/** The only reader of the environment. Everything else is given what it needs. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { VisibleGpus } from '../inference/hardware/visible.js'
import { officialReleases } from '../mesh/broker/release.js'
import { ClawmeshError } from '../policies/errors.js'
import type { TraceTarget } from './traces.js'

type Environment = Record<string, string | undefined>

/** How the command was typed: what its messages depend on. */
export interface Typing {
  /** Where a person typed an npm command; npm itself runs it in the folder of the package. */
  typedIn: string | undefined
  /** The data folder that was named, as it was typed. */
  data: string | undefined
  /** Show stack traces of errors that should not have happened. */
  debug: boolean
}

export interface Config extends Omit<Typing, 'data'> {
  /** Where meshes keep their keys, streams and chains. */
  data: string
  cache: string
  natsServer: string | undefined
  natsReleases: string
  searchPath: string
  /** A model server to use instead of probing for one: OpenAI-compatible over http, Triton over grpc. */
  modelUrl: string | undefined
  /** Where models are fetched from: a hub in the layout of Hugging Face's. */
  modelHub: string
  /** The GPUs that the programs of this machine were told to use. */
  visibleGpus: VisibleGpus
  /** Servers of the DNS that the way out of sandboxes asks, as ADDRESS or ADDRESS:PORT; undefined: whatever this machine asks. */
  nameServers: readonly string[] | undefined
  /** Whether actions may do without namespaces where these cannot be had. Only reading it throws USAGE, for a word that means nothing. */
  readonly mayDegrade: boolean
  /** Authorities that Node was told to trust besides its own, by variable: for a process of ours that is started with no variable else. */
  certificates: Readonly<Record<string, string>>
  /** Where spans go, by the variables of OpenTelemetry; undefined: nowhere. Only reading it throws USAGE: what opens no node needs none of them. */
  readonly traces: TraceTarget | undefined
  /** The person's own folder, and where programs keep their settings in it. */
  home: string
  configHome: string
}

export function readConfig(environment: Environment = process.env): Config {
  const { typedIn, debug } = readTyping(environment)
  return {
    data: resolve(environment['CLAWMESH_DATA'] || join(dataHome(environment), 'clawmesh', 'mesh')),
    cache: cacheFolder(environment),
    natsServer: environment['CLAWMESH_NATS_SERVER'] || undefined,
    natsReleases: environment['CLAWMESH_NATS_RELEASES'] || officialReleases,
    searchPath: environment['PATH'] ?? '',
    modelUrl: environment['CLAWMESH_MODEL_URL'] || environment['CLAWMESH_OPENAI_URL'] || undefined,
    modelHub: environment['CLAWMESH_MODEL_HUB'] || 'https://huggingface.co',
    visibleGpus: {
      cuda: environment['CUDA_VISIBLE_DEVICES'],
      rocr: environment['ROCR_VISIBLE_DEVICES'],
      hip: environment['HIP_VISIBLE_DEVICES'],
    },
    nameServers: environment['CLAWMESH_NAME_SERVERS']
      ?.split(',')
      .map((server) => server.trim())
      .filter(Boolean),
    get mayDegrade() {
      return mayDegrade(environment)
    },
    certificates: Object.fromEntries(
      certificateVariables.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])),
    ),
    get traces() {
      return traceTarget(environment)
    },
    typedIn,
    debug,
    home: home(environment),
    configHome: environment['XDG_CONFIG_HOME'] || join(home(environment), '.config'),
  }
}

function mayDegrade({ CLAWMESH_SANDBOX: word }: Environment): boolean {
  if (!word || word === 'degraded') return word === 'degraded'
  throw new ClawmeshError('USAGE', `CLAWMESH_SANDBOX is "${word}", which means nothing.`, {
    hint: 'Set it to "degraded", or leave it out.',
  })
}

const certificateVariables = ['NODE_EXTRA_CA_CERTS', 'NODE_USE_SYSTEM_CA', 'SSL_CERT_FILE', 'SSL_CERT_DIR']

/** Never throws: a failure is told by it. */
export const readTyping = (environment: Environment = process.env, words = process.argv.slice(2)): Typing => ({
  typedIn: environment['INIT_CWD'] || undefined,
  data: words
    .flatMap((word, at) => /^--data(?:=(.+))?$/s.exec(word)?.[1] ?? (word === '--data' ? (words[at + 1] ?? []) : []))
    .at(-1),
  debug: Boolean(environment['CLAWMESH_DEBUG']),
})

/** What a service must be given to be the same as what was typed. The data folder is an argument of its command. Others can read a unit: no secret is in it. */
export const serviceEnvironment = (environment: Environment = process.env): Record<string, string> =>
  Object.fromEntries(
    carried.flatMap((name) => {
      const value = environment[name]
      return value && !(collectors.includes(name) && mayHoldSecret.test(value)) ? [[name, value]] : []
    }),
  )

const collectors = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']

/** Of an address: a query, a fragment, a user. */
const mayHoldSecret = /[?#@]/

const carried = [
  'CLAWMESH_CACHE',
  'CLAWMESH_NATS_SERVER',
  'CLAWMESH_NATS_RELEASES',
  'CLAWMESH_MODEL_URL',
  'CLAWMESH_OPENAI_URL',
  'CLAWMESH_MODEL_HUB',
  'CLAWMESH_SANDBOX',
  'CUDA_VISIBLE_DEVICES',
  'ROCR_VISIBLE_DEVICES',
  'HIP_VISIBLE_DEVICES',
  ...collectors,
  'OTEL_SERVICE_NAME',
  'OTEL_SDK_DISABLED',
]

function traceTarget(environment: Environment): TraceTarget | undefined {
  if (environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined
  const name = collectors.findLast((each) => environment[each])
  if (name === undefined) return undefined
  return {
    url: collectorUrl(name, environment[name] ?? ''),
    headers: collectorHeaders(environment['OTEL_EXPORTER_OTLP_HEADERS'] ?? ''),
    service: environment['OTEL_SERVICE_NAME'] || 'clawmesh',
  }
}

/** What is wrong is told without what was given: keys of collectors are in addresses and headers. */
function collectorUrl(name: string, given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (!url || !/^https?:$/.test(url.protocol))
    throw new ClawmeshError('USAGE', `${name} is no address for traces.`, {
      hint: `Set ${name} to the http(s) address of a collector, for example http://127.0.0.1:4318, or unset it.`,
    })
  if (url.username !== '' || url.password !== '')
    throw new ClawmeshError('USAGE', `${name} holds a user or a password.`, {
      hint: 'Put it into OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Basic%20…, and leave it out of the address.',
    })
  if (name === 'OTEL_EXPORTER_OTLP_ENDPOINT') url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}

function collectorHeaders(given: string): Record<string, string> {
  try {
    const headers = given.split(',').flatMap((pair) => {
      const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
      return name === undefined || value === undefined ? [] : [[name, decodeURIComponent(value)] as [string, string]]
    })
    return Object.fromEntries(new Headers(headers))
  } catch {
    throw new ClawmeshError('USAGE', 'OTEL_EXPORTER_OTLP_HEADERS holds what cannot be sent as headers.', {
      hint: 'Write name=value,… with values percent-encoded: a space as %20, a percent as %25, and no line breaks.',
    })
  }
}

/** What can be fetched again: kept between runs and shared by all meshes of this user. */
export function cacheFolder(environment: Environment): string {
  if (environment['CLAWMESH_CACHE']) return resolve(environment['CLAWMESH_CACHE'])
  return join(environment['XDG_CACHE_HOME'] || join(home(environment), '.cache'), 'clawmesh')
}

/** Where models lie that were fetched. */
export const modelStore = (cache: string): string => join(cache, 'models')

const dataHome = (environment: Environment) =>
  environment['XDG_DATA_HOME'] || join(home(environment), '.local', 'share')
const home = (environment: Environment) => environment['HOME'] || homedir()
