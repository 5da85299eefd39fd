/** What it costs to judge a text. */
import { classify } from '../../router/classify.js'
import { namesIn } from '../../router/tagger/names.js'
import type { TaggerProcess } from '../../router/tagger/process.js'
import { tagKinds } from '../../router/tagger/tagger.js'
import { Values } from '../../test/router/data/values.js'
import { testSettings } from '../../test/router/score.js'
import { atLeast, type Report } from '../figure.js'
import { kilobytes, madeUp, neverMet, seed } from './texts.js'

/** In time of the processor: how often others have it meanwhile says nothing of the router. */
export function benchTimes(report: Report): void {
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

/**
 * Prose of 4 KiB through the process and back, and everything that is done to a text together: nothing of it was seen before. And the same text once more, with a
 * few words in other words: as when it was redacted, or when a talk goes on.
 */
export async function benchTagger(report: Report, tagger: TaggerProcess): Promise<void> {
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
