/** Where a name leads, asked outside of every sandbox. */
import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'

/** Addresses in the order in which they are to be tried; none where the name leads nowhere. */
export type Resolve = (host: string) => Promise<readonly string[]>

const waitMs = 3000

/** This process's own names are asked for on the same few threads, first come, first served: no more than so many of the actions' stand before them. */
const mostAtOnce = 2
/** One that has not had its turn by then leads nowhere: whoever wanted it may be gone, and others wait behind it. */
const turnMs = 10_000
let asked = 0
const waiting = new Set<(isOurs: boolean) => void>()

/** @param servers of the DNS, as ADDRESS or ADDRESS:PORT; left out, whatever this machine asks */
export function resolver(servers?: readonly string[]): Resolve {
  const ask = servers ? asking(servers) : asMachine
  return async (host) => (isIP(host) === 0 ? ask(host) : [host])
}

async function asMachine(host: string): Promise<readonly string[]> {
  if (!(await turn())) return []
  try {
    const found = await lookup(host, { all: true }).catch(() => [])
    return found.map(({ address }) => address)
  } finally {
    const [next] = waiting
    if (next) next(true)
    else asked -= 1
  }
}

/** Of the whole process, first come, first served; whoever had the last one hands it on. False where it took too long. */
function turn(): true | Promise<boolean> {
  if (asked < mostAtOnce) {
    asked += 1
    return true
  }
  return new Promise((settle) => {
    const take = (isOurs: boolean) => {
      waiting.delete(take)
      clearTimeout(late)
      settle(isOurs)
    }
    const late = setTimeout(() => take(false), turnMs)
    waiting.add(take)
  })
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
