/** What the router adds to a call. */
import type { RouterRules } from '../../policies/router.js'
import { prompts } from '../../test/router/data/prompts.js'
import { Values } from '../../test/router/data/values.js'
import { asker, asking, collected, destination, openStand, rulesWithCloud } from '../../test/router/kit.js'
import type { Report } from '../figure.js'
import { neverMet, seed } from './texts.js'

/** A question through the router and to a model on this machine, against the same question sent straight there: another one each time, or one that goes on. */
export async function benchCalls(report: Report): Promise<void> {
  const values = new Values(seed + 3)
  const prose = prompts(3, seed + 1).flatMap(({ text, stays }) => (stays || /[\d@/]/.test(text) ? [] : [text]))
  const line = () => {
    let text = 'Draft a reply to anna@example.org.'
    while (text.length < 600) text += ` ${values.pick(prose)}`
    return neverMet(text, values)
  }
  const another = () => asking(line())
  let talk: string[] = []
  const goingOn = () => {
    talk = talk.length < 8 ? [...talk, line()] : [line()]
    return asking(...talk)
  }
  const without: RouterRules = { ...rulesWithCloud, tagger: { ...rulesWithCloud.tagger, kinds: [] } }
  for (const [name, rules, next] of [
    ['names looked for', rulesWithCloud, another],
    ['names looked for, a talk of one to eight turns', rulesWithCloud, goingOn],
    ['without names', without, another],
  ] as const) {
    const stand = await openStand(rules)
    const straight = async () => {
      const response = await fetch(`${stand.cloud.url}/chat/completions`, {
        method: 'POST',
        body: JSON.stringify(next()),
      })
      await response.text()
    }
    const routed = async () => {
      await collected(stand.router.ask(stand.router.open(''), next(), asker, destination))
    }
    try {
      const [ours, theirs] = [await medianOf(routed), await medianOf(straight)]
      const added = ours - theirs
      report({
        metric: `added to a call that leaves, ${name}, median`,
        value: added,
        unit: 'ms',
        aim: '≤ 2',
        ok: added <= 2,
      })
    } finally {
      await stand.close()
    }
  }
  await benchStaying(report)
}

/** What stays is judged, and the decision recorded; here by a trail in memory. */
async function benchStaying(report: Report): Promise<void> {
  const stand = await openStand()
  const request = asking(`Patientennummer: 4711-2290. ${'Thank you for the invitation. '.repeat(20)}`)
  try {
    const added = await medianOf(async () => {
      await stand.router.judge(stand.router.open(''), request, asker)
    })
    report({ metric: 'added to a call that stays, median', value: added, unit: 'ms', aim: '≤ 2', ok: added <= 2 })
  } finally {
    await stand.close()
  }
}

async function medianOf(call: () => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 150; round += 1) {
    const begun = performance.now()
    await call()
    if (round >= 50) times.push(performance.now() - begun)
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN
}
