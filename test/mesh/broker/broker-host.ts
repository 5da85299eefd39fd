/** Starts a broker in the folder named and prints its pid; ends only when it is killed. */
import { addressesOf } from '../../../mesh/address.js'
import { BrokerAccounts } from '../../../mesh/broker/accounts.js'
import { startBroker } from '../../../mesh/broker/broker.js'
import { createBrokerKeys } from '../../../mesh/broker/keys.js'
import { officialReleases } from '../../../mesh/broker/release.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { cacheFolder } from '../../../nodes/config.js'

const { mesh, meshKey } = createAuthority()
const accounts = new BrokerAccounts(createBrokerKeys(), addressesOf(mesh, meshKey))
const broker = await startBroker({
  folder: process.argv[2] ?? '',
  port: 0,
  claims: () => accounts.claims({}),
  search: {
    searchPath: process.env['PATH'] ?? '',
    cache: cacheFolder(process.env),
    releases: officialReleases,
    progress: () => undefined,
  },
})
process.stdout.write(`${broker.pid}\n`)
setInterval(() => undefined, 60_000)
