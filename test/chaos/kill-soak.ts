/** Many seeded kills one after the other, and a table of how they ended. */
import { describeJudged, type Judged, KillMatrix, planKills, tableOf } from './kill.js'

export async function soakKill(count: number, seed: number): Promise<boolean> {
  const matrix = new KillMatrix()
  const reference = await matrix.begin()
  say(`undisturbed: ${(reference.wallMs / 1000).toFixed(1)} s, ${reference.answer.slice(0, 80)}`)
  const judged: Judged[] = []
  for (const [index, kill] of planKills(seed, count, reference.wallMs).entries()) {
    const one = await matrix.kill(kill)
    judged.push(one)
    say(`${String(index + 1).padStart(3)} ${describeJudged(one)}`)
  }
  const left = await matrix.after()
  say(`\n${tableOf(judged)}`)
  for (const fault of left) say(fault)
  const clean = left.length === 0 && judged.every(({ faults }) => faults.length === 0)
  if (clean) matrix.close()
  else say(`the data folder is kept: ${matrix.data}`)
  return clean
}

const say = (text: string) => process.stdout.write(`${text}\n`)
