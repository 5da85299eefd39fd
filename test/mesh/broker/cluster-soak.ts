/** `npm run soak -- cluster [KILLS] [SEED]`. */
import { seededRandom } from '../../kit/random.js'
import { runCluster } from './cluster.js'
import { jobWithout } from './job.js'

export async function soakCluster(kills: number, seed: number): Promise<boolean> {
  const say = (text: string) => process.stdout.write(`${text}\n`)
  const { faults, ...figures } = await runCluster(kills, seededRandom(seed), say)
  say(JSON.stringify({ ...figures, faults: faults.length }))
  for (const fault of faults) say(fault)
  const failures: string[] = []
  for (const broker of [1, 2, 3]) {
    const failure = await jobWithout(broker)
    say(`the main job without broker ${broker}: ${failure ?? 'done, and its trail verifies'}`)
    if (failure !== undefined) failures.push(failure)
  }
  const { lost, doubled, wronged, misjudged, gapMs } = figures
  return lost + doubled + wronged + misjudged + faults.length + failures.length === 0 && gapMs <= 11_000
}
