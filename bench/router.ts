/**
 * The privacy router: what its detectors find in texts from templates that were held out from their making, what gets past it however it is written, and
 * what it costs. Values are invented, from a fixed seed. Times are of this machine with whatever else it does; throughput is per second of processor time.
 */
import type { RouterRules } from '../policies/router.js'
import { classify } from '../router/classify.js'
import { readRequest } from '../router/router.js'
import { namesIn } from '../router/tagger/names.js'
import { TaggerProcess } from '../router/tagger/process.js'
import { tagKinds } from '../router/tagger/tagger.js'
import { leaked } from '../test/router/data/canary.js'
import { type Evasion, evasions } from '../test/router/data/evasions.js'
import { heldout } from '../test/router/data/heldout.js'
import { people } from '../test/router/data/people.js'
import { prompts } from '../test/router/data/prompts.js'
import { type Sample, samples } from '../test/router/data/template.js'
import { secretMakers, Values } from '../test/router/data/values.js'
import { asker, asking, collected, destination, openStand, rulesWithCloud } from '../test/router/kit.js'
import { lowerCased, precision, recall, score, scoreMasking, testSettings } from '../test/router/score.js'
import type { Report } from './figure.js'

const seed = 20261122

export default async function bench(report: Report): Promise<void> {
  benchDetectors(report)
  benchSecrets(report)
  benchPrompts(report)
  await benchNames(report)
  await benchEvasions(report)
  benchTimes(report)
  await benchCalls(report)
}

const aims: readonly (readonly [kind: string, recall: number, precision?: number])[] = [
  ['email', 0.995, 0.97],
  ['url', 0.995, 0.97],
  ['iban', 0.995, 0.97],
  ['card', 0.995, 0.97],
  ['national-id', 0.995, 0.97],
  ['ip', 0.99],
  ['phone', 0.92, 0.8],
  ['date', 0.97],
]

function benchDetectors(report: Report): void {
  const texts = samples(heldout, 60, seed)
  for (const [kind, leastRecall, leastPrecision] of aims) {
    const counted = score(texts, [kind])
    const [found, right] = [recall(counted), precision(counted)]
    report({
      metric: `${kind}: recall, ${counted.there} in held-out texts`,
      value: found,
      unit: '',
      ...atLeast(found, leastRecall),
    })
    const aim = leastPrecision === undefined ? {} : atLeast(right, leastPrecision)
    report({ metric: `${kind}: precision`, value: right, unit: '', ...aim })
  }
}

function benchSecrets(report: Report): void {
  const values = new Values(seed)
  const contexts = [
    (secret: string) => `Can you check why ${secret} does not work?`,
    (secret: string) => `export A=1\n${secret}\n`,
    (secret: string) => JSON.stringify({ env: [secret] }),
    (secret: string) => `Hier der Zugang:\n\n    ${secret}\n\nGruß`,
  ]
  const shares = Object.entries(secretMakers).map(([family, make]) => {
    const texts = Array.from({ length: 40 }, (_, index) => contexts[index % contexts.length]?.(make(values)) ?? '')
    const caught = texts.filter((text) => classify(text, testSettings).categories.includes('SECRET')).length
    return { family, share: caught / texts.length }
  })
  const worst = shares.toSorted((a, b) => a.share - b.share)[0]
  const mean = shares.reduce((sum, { share }) => sum + share, 0) / shares.length
  report({
    metric: `secrets: recall, mean of ${shares.length} families`,
    value: mean,
    unit: '',
    ...atLeast(mean, 0.98),
  })
  report({
    metric: `secrets: recall, worst family (${worst?.family})`,
    value: worst?.share ?? 0,
    unit: '',
    ...atLeast(worst?.share ?? 0, 0.98),
  })
}

function benchPrompts(report: Report): void {
  const judged = prompts(25, seed).map(({ text, stays }) => ({
    stays,
    kept: classify(text, testSettings).label === 'RESTRICTED',
  }))
  const share = (of: typeof judged): number => of.filter(({ kept }) => kept).length / of.length
  const kept = share(judged.filter(({ stays }) => stays))
  report({ metric: 'prompts that must stay: recall', value: kept, unit: '', ...atLeast(kept, 0.99) })
  report({
    metric: 'prompts that may leave, kept all the same',
    value: share(judged.filter(({ stays }) => !stays)),
    unit: '',
  })
}

/** Whole places: one word of a name left standing is a miss, whatever kind the rest was taken for. */
async function benchNames(report: Report): Promise<void> {
  const tagger = new TaggerProcess()
  try {
    const all = people(40, seed)
    for (const [spelled, least, change] of [
      ['as written', 0.96, (sample: Sample) => sample],
      ['in small letters', 0.8, lowerCased],
    ] as const) {
      for (const [names, isUnseen] of [
        ['usual', false],
        ['never met', true],
      ] as const) {
        const { there, masked, others, othersMasked, leakingTexts } = await scoreMasking(
          all.filter((sample) => sample.isUnseen === isUnseen).map(change),
          tagger,
        )
        const of = `${names} names, ${spelled}`
        for (const [kind, count] of Object.entries(there)) {
          const share = (masked[kind] ?? 0) / count
          report({ metric: `${of}: ${kind} masked, of ${count}`, value: share, unit: '', ...atLeast(share, least) })
        }
        const share = othersMasked.length / others
        report({ metric: `${of}: other words masked`, value: share, unit: '', aim: '≤ 0.1', ok: share <= 0.1 })
        report({ metric: `${of}: texts that leak something`, value: leakingTexts, unit: `of ${all.length / 2}` })
      }
    }
    const plain = prompts(10, seed)
      .filter(({ stays }) => !stays)
      .map(({ text }) => ({ text, marked: [] }))
    const { others, othersMasked } = await scoreMasking(plain, tagger)
    const share = othersMasked.length / others
    report({ metric: 'prompts that may leave: words masked', value: share, unit: '', aim: '≤ 0.1', ok: share <= 0.1 })
    await benchTagger(report, tagger)
  } finally {
    tagger.close()
  }
}

/**
 * Prose of 4 KiB through the process and back, and everything that is done to a text together: nothing of it was seen before. And the same text once more, with a
 * few words in other words: as when it was redacted, or when a talk goes on.
 */
async function benchTagger(report: Report, tagger: TaggerProcess): Promise<void> {
  const texts = kilobytes()['prose and finds'] ?? []
  const times: Record<'tagger' | 'tagger, looking again' | 'full pass', number[]> = {
    tagger: [],
    'tagger, looking again': [],
    'full pass': [],
  }
  const timed = async (what: keyof typeof times, work: () => Promise<unknown>): Promise<void> => {
    const begun = performance.now()
    await work()
    times[what].push(performance.now() - begun)
  }
  const words = new Values(seed + 2)
  for (const text of texts) {
    const first = neverMet(text, words)
    await timed('tagger', () => tagger.tag([first]))
    const cut = Math.floor(first.length / 4)
    const again = [0, 1, 2, 3].map((part) => `${first.slice(part * cut, (part + 1) * cut)} ${madeUp(words)} `).join('')
    await timed('tagger, looking again', () => tagger.tag([again]))
    const other = neverMet(text, words)
    await timed('full pass', async () => {
      classify(other, testSettings)
      await namesIn([other], tagger, tagKinds, testSettings)
    })
  }
  for (const [what, taken] of Object.entries(times)) {
    taken.sort((a, b) => a - b)
    const [best, median, p99] = [
      taken[0] ?? 0,
      taken[taken.length >> 1] ?? 0,
      taken[Math.floor(taken.length * 0.99)] ?? 0,
    ]
    report({ metric: `${what}, 4 KiB, best`, value: best, unit: 'ms' })
    const aim = what === 'full pass' ? { aim: '≤ 15', ok: median <= 15 } : {}
    report({ metric: `${what}, 4 KiB, median`, value: median, unit: 'ms', ...aim })
    report({ metric: `${what}, 4 KiB, p99`, value: p99, unit: 'ms' })
  }
}

const canaries: Record<string, { make: (values: Values) => string; sentence: (value: string) => string }> = {
  email: { make: (v) => v.make('email'), sentence: (value) => `Kannst du ${value} für mich antworten?` },
  iban: { make: (v) => v.make('iban'), sentence: (value) => `Refund to IBAN ${value} please.` },
  card: {
    make: (v) => v.make('card'),
    sentence: (value) => `Was heißt es, wenn die Kreditkarte ${value} abgelehnt wird?`,
  },
  'national-id': { make: (v) => v.make('ssn'), sentence: (value) => `Form 12 asks for the SSN, mine is ${value}.` },
  secret: {
    make: (v) => secretMakers['github-token']?.(v) ?? '',
    sentence: (value) => `git clone fails with ${value}`,
  },
}

/** Through the whole router to a cloud that records every byte it is sent. */
async function benchEvasions(report: Report): Promise<void> {
  const stand = await openStand()
  const values = new Values(seed)
  let [sent, leaks] = [0, 0]
  const tried = async ({ apply }: Evasion, { make, sentence }: (typeof canaries)[string]): Promise<boolean> => {
    const value = make(values)
    const texts = apply(value, sentence)
    const { sensitivity } = readRequest(asking(...texts), testSettings)
    stand.cloud.sent.length = 0
    await collected(stand.router.ask(stand.router.open(''), asking(...texts), asker, destination)).catch(() => '')
    sent += 1
    if (leaked(stand.cloud.sent.join('\n'), [value]).length > 0) leaks += 1
    return sensitivity.label !== 'INTERNAL'
  }
  let caughtOfAll = 0
  try {
    for (const evasion of evasions) {
      let [caught, all] = [0, 0]
      for (const canary of Object.values(canaries)) {
        for (let round = 0; round < 20; round += 1) {
          all += 1
          if (await tried(evasion, canary)) caught += 1
        }
      }
      caughtOfAll += caught
      report({ metric: `evasion, ${evasion.name}: caught`, value: caught / all, unit: '' })
    }
  } finally {
    await stand.close()
  }
  const share = caughtOfAll / sent
  report({
    metric: `evasions: caught of ${sent}, ${evasions.length} ways`,
    value: share,
    unit: '',
    ...atLeast(share, 0.97),
  })
  report({
    metric: `evasions: canaries that left, of ${sent}`,
    value: leaks,
    unit: '',
    aim: '0 of ≥ 3000',
    ok: leaks === 0 && sent >= 3000,
  })
}

/** In time of the processor: how often others have it meanwhile says nothing of the router. */
function benchTimes(report: Report): void {
  const sets = kilobytes()
  // All sorts first: what was compiled for prose alone is compiled once more for the rest.
  for (let round = 0; round < 15; round += 1)
    for (const texts of Object.values(sets)) for (const text of texts) classify(text, testSettings)
  for (const [name, texts] of Object.entries(sets)) {
    const times: number[] = []
    const best = new Float64Array(texts.length).fill(Number.POSITIVE_INFINITY)
    let [total, characters, finds] = [0, 0, 0]
    for (let round = 0; round < 15; round += 1)
      for (const [index, text] of texts.entries()) {
        const begun = process.cpuUsage()
        finds += classify(text, testSettings).findings.length
        const { user, system } = process.cpuUsage(begun)
        times.push((user + system) / 1000)
        best[index] = Math.min(best[index] ?? 0, user + system)
        total += user + system
        characters += text.length
      }
    times.sort((a, b) => a - b)
    const [median, p99] = [times[times.length >> 1] ?? 0, times[Math.floor(times.length * 0.99)] ?? 0]
    const of = `4 KiB, ${name}`
    report({ metric: `${of}: finds`, value: finds / times.length, unit: 'a text' })
    report({ metric: `${of}: all views, median`, value: median, unit: 'ms' })
    report({ metric: `${of}: all views, p99`, value: p99, unit: 'ms', aim: '≤ 2', ok: p99 <= 2 })
    const rate = characters / total
    report({ metric: `${of}: all views, per core`, value: rate, unit: 'MB/s', ...atLeast(rate, 25) })
    // What it costs where nobody else empties the caches meanwhile.
    const quiet = texts.reduce((sum, text) => sum + text.length, 0) / best.reduce((sum, each) => sum + each, 0)
    report({ metric: `${of}: the same, each text at its best`, value: quiet, unit: 'MB/s', ...atLeast(quiet, 25) })
  }
}

/** Prose without anything to find, with a held-out text here and there, with values in most of its lines, and held-out texts alone, which nobody would write. */
function kilobytes(): Record<string, string[]> {
  const values = new Values(seed)
  const lines = samples(heldout, 12, seed + 1).map(({ text }) => text)
  const prose = prompts(3, seed + 1)
    .filter(({ stays }) => !stays)
    .map(({ text }) => text)
  const plain = prose.filter((text) => !/[\d@/]/.test(text))
  const filled = (line: () => string): string[] =>
    Array.from({ length: 60 }, () => {
      let text = ''
      while (text.length < 4096) text += `${line()}\n`
      return text.slice(0, 4096)
    })
  return {
    'plain prose': filled(() => values.pick(plain)),
    'prose, some finds': filled(() => (values.below(8) === 0 ? values.pick(lines) : values.pick(plain))),
    'prose and finds': filled(() => (values.below(6) === 0 ? values.pick(lines) : values.pick(prose))),
    'finds alone': filled(() => values.pick(lines)),
  }
}

const madeUp = (values: Values): string =>
  Array.from({ length: 8 }, () => 'abcdefghijklmnopqrstuvwxyz'[values.below(26)]).join('')

/** Every twentieth word is one that nobody has seen, so that no place of it looks as one of another text does. */
const neverMet = (text: string, values: Values): string => {
  let count = 0
  return text.replace(/[a-z]{3,}/g, (word) => {
    count += 1
    return count % 20 === 0 ? madeUp(values) : word
  })
}

/** A question through the router and to a model on this machine, against the same question sent straight there: another one each time, or one that goes on. */
async function benchCalls(report: Report): Promise<void> {
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

const atLeast = (value: number, aim: number) => ({ aim: `≥ ${aim}`, ok: value >= aim })
