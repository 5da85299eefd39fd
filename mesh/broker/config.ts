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
}

export function brokerConfig(settings: BrokerSettings): string {
  const { host, port, store, tokens, portsFolder, logFile, claims, tls } = settings
  const accounts = Object.entries(claims.accounts).map(([account, token]) => `  ${account}: ${token}`)
  const lines = [
    `host: ${JSON.stringify(host)}`,
    `port: ${port === 0 ? -1 : port}`,
    `ports_file_dir: ${JSON.stringify(portsFolder)}`,
    `log_file: ${JSON.stringify(logFile)}`,
    'max_payload: 1MB',
    `jetstream { store_dir: ${JSON.stringify(store)} }`,
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
