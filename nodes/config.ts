/** The only reader of the environment. Everything else is given what it needs. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { officialReleases } from '../mesh/broker/release.js'
import { ClawmeshError } from '../policies/errors.js'
import type { TraceTarget } from './traces.js'

type Environment = Record<string, string | undefined>

export interface Config {
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
  visibleGpus: string | undefined
  /** Servers of the DNS that the way out of sandboxes asks, as ADDRESS or ADDRESS:PORT; undefined: whatever this machine asks. */
  nameServers: readonly string[] | undefined
  /** Where spans go, by the variables of OpenTelemetry; undefined: nowhere. */
  traces: TraceTarget | undefined
  /** Where a person typed an npm command; npm itself runs it in the folder of the package. */
  typedIn: string | undefined
  /** Show stack traces of errors that should not have happened. */
  debug: boolean
  /** The person's own folder, and where programs keep their settings in it. */
  home: string
  configHome: string
}

export function readConfig(environment: Environment = process.env): Config {
  return {
    data: resolve(environment['CLAWMESH_DATA'] || join(dataHome(environment), 'clawmesh', 'mesh')),
    cache: cacheFolder(environment),
    natsServer: environment['CLAWMESH_NATS_SERVER'] || undefined,
    natsReleases: environment['CLAWMESH_NATS_RELEASES'] || officialReleases,
    searchPath: environment['PATH'] ?? '',
    modelUrl: environment['CLAWMESH_MODEL_URL'] || environment['CLAWMESH_OPENAI_URL'] || undefined,
    modelHub: environment['CLAWMESH_MODEL_HUB'] || 'https://huggingface.co',
    visibleGpus: environment['CUDA_VISIBLE_DEVICES'],
    nameServers: environment['CLAWMESH_NAME_SERVERS']
      ?.split(',')
      .map((server) => server.trim())
      .filter(Boolean),
    traces: traceTarget(environment),
    typedIn: environment['INIT_CWD'] || undefined,
    debug: Boolean(environment['CLAWMESH_DEBUG']),
    home: home(environment),
    configHome: environment['XDG_CONFIG_HOME'] || join(home(environment), '.config'),
  }
}

/** What a service must be given to be the same as what was typed. The data folder is an argument of its command. */
export const serviceEnvironment = (environment: Environment = process.env): Record<string, string> =>
  Object.fromEntries(
    carried.flatMap((name) => {
      const value = environment[name]
      return value ? [[name, value]] : []
    }),
  )

const carried = [
  'CLAWMESH_CACHE',
  'CLAWMESH_NATS_SERVER',
  'CLAWMESH_NATS_RELEASES',
  'CLAWMESH_MODEL_URL',
  'CLAWMESH_OPENAI_URL',
  'CLAWMESH_MODEL_HUB',
  'CUDA_VISIBLE_DEVICES',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_SERVICE_NAME',
  'OTEL_SDK_DISABLED',
]

function traceTarget(environment: Environment): TraceTarget | undefined {
  const base = environment['OTEL_EXPORTER_OTLP_ENDPOINT']
  const url = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || (base && `${base.replace(/\/$/, '')}/v1/traces`)
  if (!url || environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new ClawmeshError('USAGE', `"${url}" is no address for traces.`, {
      hint: 'Set OTEL_EXPORTER_OTLP_ENDPOINT to the http(s) address of a collector, for example http://127.0.0.1:4318, or unset it.',
    })
  const headers = (environment['OTEL_EXPORTER_OTLP_HEADERS'] ?? '').split(',').flatMap((pair) => {
    const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    return name === undefined || value === undefined ? [] : [[name, decodeURIComponent(value)] as const]
  })
  return { url, headers: Object.fromEntries(headers), service: environment['OTEL_SERVICE_NAME'] || 'clawmesh' }
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
