/** Where a name leads, asked outside of every sandbox. */
import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'

/** Addresses in the order in which they are to be tried; none where the name leads nowhere. */
export type Resolve = (host: string) => Promise<readonly string[]>

const waitMs = 3000

/** @param servers of the DNS, as ADDRESS or ADDRESS:PORT; left out, whatever this machine asks */
export function resolver(servers?: readonly string[]): Resolve {
  const ask = servers ? asking(servers) : asMachine
  return async (host) => (isIP(host) === 0 ? ask(host) : [host])
}

async function asMachine(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => address)
}

function asking(servers: readonly string[]): Resolve {
  const resolver = new Resolver({ timeout: waitMs, tries: 2 })
  resolver.setServers(servers)
  return async (host) => {
    const [four, six] = await Promise.all([
      resolver.resolve4(host).catch(() => []),
      resolver.resolve6(host).catch(() => []),
    ])
    return [...four, ...six]
  }
}
