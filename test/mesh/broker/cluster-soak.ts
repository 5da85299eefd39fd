/** `npm run soak -- cluster [KILLS] [SEED]`. */
import { seededRandom } from '../../kit/random.js'
import { runCluster } from './cluster.js'

export async function soakCluster(kills: number, seed: number): Promise<boolean> {
  const say = (text: string) => process.stdout.write(`${text}\n`)
  const { faults, ...figures } = await runCluster(kills, seededRandom(seed), say)
  say(JSON.stringify({ ...figures, faults: faults.length }))
  for (const fault of faults) say(fault)
  const { lost, doubled, misjudged, gapMs } = figures
  return lost + doubled + misjudged + faults.length === 0 && gapMs <= 11_000
}
