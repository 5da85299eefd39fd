/**
 * The privacy router: what its detectors find in texts from templates that were held out from their making, what gets past it however it is written, and
 * what it costs. Values are invented, from a fixed seed. Times are of this machine with whatever else it does; throughput is per second of processor time.
 */
import { classify } from '../router/classify.js'
import { readRequest } from '../router/reading.js'
import { TaggerProcess } from '../router/tagger/process.js'
import { leaked } from '../test/router/data/canary.js'
import { type Evasion, evasions } from '../test/router/data/evasions.js'
import { heldout } from '../test/router/data/heldout.js'
import { people } from '../test/router/data/people.js'
import { prompts } from '../test/router/data/prompts.js'
import { type Sample, samples } from '../test/router/data/template.js'
import { secretMakers, Values } from '../test/router/data/values.js'
import { asker, asking, collected, destination, openStand } from '../test/router/kit.js'
import { lowerCased, precision, recall, score, scoreMasking, testSettings } from '../test/router/score.js'
import { atLeast, type Report } from './figure.js'
import { benchCalls } from './router/calls.js'
import { seed } from './router/texts.js'
import { benchTagger, benchTimes } from './router/times.js'

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
