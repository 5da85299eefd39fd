/** `clawmesh site`: what a second site needs to run a NATS server of its own as a leaf node of this mesh. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { addressesOf } from '../../../mesh/address.js'
import { BrokerAccounts, type BrokerUser } from '../../../mesh/broker/accounts.js'
import { oneDomain } from '../../../mesh/broker/config.js'
import { openBrokerKeys } from '../../../mesh/broker/keys.js'
import { writeWhole } from '../../../mesh/disk.js'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { leafPort, parseHostPort } from '../../authority/address.js'
import { Register } from '../../authority/register.js'
import { type Command, text, type Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { progress } from '../terminal.js'
import { reachableOf } from './invite.js'

export const site: Command = {
  name: 'site',
  usage: 'DIR --hub HOST[:PORT] [--json]',
  help: 'Writes into DIR what a nats-server of a second site is started with, so that machines there join by it. It holds secrets: whoever has it can listen to the sealed traffic.',
  options: {
    hub: {
      type: 'string',
      value: 'HOST[:PORT]',
      help: `where that site finds this mesh: what \`up --leaf\` listens at (default port: ${leafPort})`,
    },
    data: dataOption,
    json: jsonOption,
  },
  takes: 'folder',
  run: runSite,
}

async function runSite(folder: string | undefined, values: Values): Promise<number> {
  const hub = text(values, 'hub')
  if (folder === undefined || hub === undefined)
    throw new ClawmeshError('USAGE', 'Say into which folder, and where the hub is.', { hint: site.usage })
  const { host, port } = parseHostPort(hub, '--hub', leafPort)
  const data = dataFolder(values)
  const { tlsAuthority } = reachableOf(data)
  const authority = openAuthority(join(data, 'authority'), Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const accounts = new BrokerAccounts(openBrokerKeys(join(data, 'authority')), addresses)
  const revoked = new Register(join(data, 'authority')).revokedUsers()
  const { operator, accounts: tokens } = await accounts.claimsOutside(revoked)
  const users = await accounts.site()
  const where = resolve(folder)
  mkdirSync(where, { recursive: true, mode: 0o700 })
  const ca = join(where, 'hub.crt')
  if (tlsAuthority !== undefined) writeWhole(ca, tlsAuthority)
  const url = `${tlsAuthority === undefined ? 'nats' : 'tls'}://${host}:${port}`
  const remotes = Object.keys(tokens).map((account, index) => {
    const name = index === 0 ? 'mesh' : 'audit'
    const credentials = join(where, `${name}.creds`)
    writeWhole(credentials, credentialsOf(users[name]))
    const tls = tlsAuthority === undefined ? '' : `, tls { ca_file: ${JSON.stringify(ca)} }`
    return `    { url: ${JSON.stringify(url)}, account: ${account}, credentials: ${JSON.stringify(credentials)}${tls} }`
  })
  const file = join(where, 'site.conf')
  writeWhole(file, siteConfiguration(operator, tokens, remotes))
  if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, folder: where, file })}\n`)
  progress(`Take ${where} to the site, to the same place, and run there: nats-server -c ${file}`)
  progress('On each machine of the site: npm run clawmesh -- join --nats nats://ITS-ADDRESS:4222 INVITATION')
  return 0
}

const siteConfiguration = (operator: string, tokens: Record<string, string>, remotes: string[]): string =>
  [
    '# A nats-server of a second site. Change where it listens, and give it TLS, if it is not for one machine alone.',
    'listen: "127.0.0.1:4222"',
    'max_payload: 1MB',
    `operator: ${operator}`,
    'resolver: MEMORY',
    'resolver_preload {',
    ...Object.entries(tokens).map(([account, token]) => `  ${account}: ${token}`),
    '}',
    oneDomain(tokens),
    'leafnodes {',
    '  remotes: [',
    remotes.join(',\n'),
    '  ]',
    '}',
    '',
  ].join('\n')

/** As NATS's own tools write them. */
const credentialsOf = ({ token, seed }: BrokerUser): string =>
  [
    '-----BEGIN NATS USER JWT-----',
    token,
    '------END NATS USER JWT------',
    '',
    '-----BEGIN USER NKEY SEED-----',
    seed,
    '------END USER NKEY SEED------',
    '',
  ].join('\n')
