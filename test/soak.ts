/** `npm run soak -- NAME [COUNT] [SEED]`: long runs that wear at what the tests touch once. */
import { soakKill } from './chaos/kill-soak.js'
import { soakSignal } from './chaos/signal.js'
import { soakTwice } from './chaos/twice.js'
import { soakTriton } from './inference/triton/soak.js'
import { soakCurrent } from './mesh/current-soak.js'

/** Each takes how often and a seed, and resolves to whether it was clean. */
const soaks: Record<string, (count: number, seed: number) => Promise<boolean>> = {
  kill: soakKill,
  signal: soakSignal,
  twice: soakTwice,
  current: soakCurrent,
  triton: soakTriton,
}
const usual: Record<string, number> = { kill: 60, signal: 20, twice: 3, current: 1, triton: 1 }

const [name = '', count, seed] = process.argv.slice(2)
const soak = soaks[name]
if (!soak) {
  process.stderr.write(`usage: npm run soak -- ${Object.keys(soaks).join('|')} [COUNT] [SEED]\n`)
  process.exit(2)
}
process.exitCode = (await soak(Number(count ?? usual[name]), Number(seed ?? 1))) ? 0 : 1
