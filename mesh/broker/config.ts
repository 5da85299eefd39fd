/** What we tell nats-server: pure text from plain facts. */
import type { Addresses } from '../address.js'

export interface BrokerUsers {
  /** nkey public keys. The authority may do everything; a member what the fabric needs and no more. */
  authority: string
  member: string
  /** Reads the audit stream and can do nothing else. */
  auditor?: string
}

export interface BrokerSettings {
  /** 0: the kernel chooses. */
  port: number
  store: string
  portsFolder: string
  logFile: string
  users: BrokerUsers
  addresses: Addresses
}

export function brokerConfig({ port, store, portsFolder, logFile, users, addresses }: BrokerSettings): string {
  const directory = `KV_${addresses.directory}`
  const mayPublish = [
    addresses.traffic,
    addresses.auditSubjects,
    '$JS.API.INFO',
    `$KV.${addresses.directory}.>`,
    `$JS.API.STREAM.INFO.${directory}`,
    `$JS.API.STREAM.MSG.GET.${directory}`,
    `$JS.API.DIRECT.GET.${directory}`,
    `$JS.API.DIRECT.GET.${directory}.>`,
    `$JS.API.CONSUMER.CREATE.${directory}`,
    `$JS.API.CONSUMER.CREATE.${directory}.>`,
    `$JS.API.CONSUMER.INFO.${directory}.>`,
    `$JS.API.CONSUMER.DELETE.${directory}.>`,
    '$JS.FC.>',
  ]
  const audit = addresses.auditStream
  const mayAsk = [
    '$JS.API.INFO',
    `$JS.API.STREAM.INFO.${audit}`,
    `$JS.API.CONSUMER.CREATE.${audit}`,
    ...['CREATE', 'INFO', 'DELETE', 'MSG.NEXT'].map((verb) => `$JS.API.CONSUMER.${verb}.${audit}.>`),
  ]
  const auditor = `{ nkey: ${users.auditor}, permissions: {
        publish: { allow: ${JSON.stringify(mayAsk)} }
        subscribe: { allow: ["_INBOX.>"] }
    } }`
  return `
host: "127.0.0.1"
port: ${port === 0 ? -1 : port}
ports_file_dir: ${JSON.stringify(portsFolder)}
log_file: ${JSON.stringify(logFile)}
max_payload: 1MB
jetstream { store_dir: ${JSON.stringify(store)} }
authorization {
  users: [
    { nkey: ${users.authority} }
    { nkey: ${users.member}, permissions: {
        publish: { allow: ${JSON.stringify(mayPublish)} }
        subscribe: { allow: ${JSON.stringify([addresses.traffic, '_INBOX.>'])} }
    } }
    ${users.auditor ? auditor : ''}
  ]
}
`
}
