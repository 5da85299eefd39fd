/** What we tell nats-server: pure text from plain facts. */
import type { BrokerClaims } from './accounts.js'

export interface BrokerSettings {
  host: string
  /** 0: the kernel chooses. */
  port: number
  store: string
  /** Where the server keeps account tokens that it was sent while it ran. */
  tokens: string
  portsFolder: string
  logFile: string
  claims: BrokerClaims
  /** Files of the server's certificate, followed by its authority's, and of its key. Left out: no TLS. */
  tls?: { certificate: string; key: string } | undefined
  /** One of several that are one. */
  seat?: ClusterSeat | undefined
  /** Where servers of other sites find it. */
  leaf?: LeafListener | undefined
}

export interface LeafListener {
  host: string
  port: number
}

/** The place of one broker among those that keep one store together. All of them run on this machine and speak over loopback. */
export interface ClusterSeat {
  cluster: string
  /** Never another one's, and the same at each start: the others know it by its name. */
  name: string
  /** Where it listens for the others. */
  port: number
  /** Of all of them, this one included. */
  ports: readonly number[]
  /** Lets one broker in at the others; new each time they are started. */
  secret: string
}

export function brokerConfig(settings: BrokerSettings): string {
  const { host, port, store, tokens, portsFolder, logFile, claims, tls, seat, leaf } = settings
  const accounts = Object.entries(claims.accounts).map(([account, token]) => `  ${account}: ${token}`)
  const lines = [
    `host: ${JSON.stringify(host)}`,
    `port: ${port === 0 ? -1 : port}`,
    `ports_file_dir: ${JSON.stringify(portsFolder)}`,
    `log_file: ${JSON.stringify(logFile)}`,
    'max_payload: 1MB',
    `jetstream { store_dir: ${JSON.stringify(store)} }`,
    ...(seat ? clusterLines(seat) : []),
    ...(leaf ? leafLines(leaf, claims, tls) : []),
    ...(tls ? [`tls { cert_file: ${JSON.stringify(tls.certificate)}, key_file: ${JSON.stringify(tls.key)} }`] : []),
    `operator: ${claims.operator}`,
    `system_account: ${claims.system}`,
    `resolver { type: full, dir: ${JSON.stringify(tokens)}, allow_delete: false, interval: "2m" }`,
    'resolver_preload {',
    ...accounts,
    '}',
  ]
  return `${lines.join('\n')}\n`
}

/** The streams are here, also for whoever is connected to the server of another site: without a domain, both sides must be told so. */
export const oneDomain = (accounts: Record<string, string>): string =>
  `default_js_domain { ${Object.keys(accounts)
    .map((account) => `${account}: ""`)
    .join(', ')} }`

function leafLines(
  { host, port }: LeafListener,
  { accounts, system }: BrokerClaims,
  tls: BrokerSettings['tls'],
): string[] {
  const { [system]: _, ...extended } = accounts
  const shown = tls
    ? `, tls { cert_file: ${JSON.stringify(tls.certificate)}, key_file: ${JSON.stringify(tls.key)} }`
    : ''
  return [`leafnodes { host: ${JSON.stringify(host)}, port: ${port}${shown} }`, oneDomain(extended)]
}

const peer = 'broker'

function clusterLines({ cluster, name, port, ports, secret }: ClusterSeat): string[] {
  const others = ports.filter((other) => other !== port)
  return [
    `server_name: ${JSON.stringify(name)}`,
    'cluster {',
    `  name: ${JSON.stringify(cluster)}`,
    '  host: "127.0.0.1"',
    `  port: ${port}`,
    `  authorization { user: ${peer}, password: ${JSON.stringify(secret)}, timeout: 5 }`,
    `  routes: [${others.map((other) => JSON.stringify(`nats-route://${peer}:${secret}@127.0.0.1:${other}`)).join(', ')}]`,
    '}',
  ]
}
