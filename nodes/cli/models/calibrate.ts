/** `clawmesh route calibrate`: from how many points on a prompt should count as moderate and as hard, by what was really asked of this mesh. Changes nothing unless it is told to. */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { calibrate, costUnder, shareFrom, withLimits } from '../../../policies/calibration.js'
import { type ComplexityLimits, complexityOf } from '../../../policies/complexity.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { roles } from '../../../policies/roles.js'
import type { RouterRules } from '../../../policies/router.js'
import { categories, labels } from '../../../policies/router-label.js'
import { readFacts } from '../../audit/facts.js'
import { readConfig } from '../../config.js'
import { dataPaths } from '../../data-folder.js'
import { changeRulesOfMesh, readRouterRules, rulesOfMesh } from '../../router-rules.js'
import { type Command, text, whole } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { stopWhenUnread } from '../stop.js'
import { progress } from '../terminal.js'

/** Of a `route.decided` event. Those of earlier versions were not weighed. */
const decidedSchema = z.object({
  label: z.enum(labels),
  categories: z.array(z.enum(categories)),
  roles: z.array(z.enum(roles)),
  points: z.int().min(0).max(100),
  characters: z.int().nonnegative(),
  maxTokens: z.int().nonnegative(),
})

export const routeCalibrate: Command = {
  name: 'route calibrate',
  usage: '[--moderate PERCENT] [--hard PERCENT] [--last N] [--rules FILE | --write] [--json] [--data DIR]',
  help: 'Says how hard the questions looked that this mesh was asked, and proposes limits for `order.from` of the router rules, so that no more than so many count as moderate or hard. Changes nothing without --write.',
  options: {
    moderate: { type: 'string', value: 'PERCENT', help: 'most questions that may look moderate or hard (default: 30)' },
    hard: { type: 'string', value: 'PERCENT', help: 'most questions that may look hard (default: 10)' },
    last: { type: 'string', value: 'N', help: 'only so many, the newest (default: 10000)' },
    rules: { type: 'string', value: 'FILE', help: 'router rules to use instead of those of the mesh' },
    write: { type: 'boolean', help: 'put the proposed limits into the router.yaml of the mesh, for its next start' },
    data: dataOption,
    json: jsonOption,
  },
  run: async (_, values) => {
    const percentOf = (name: string, otherwise: number) => (whole(values, name, 0, 100) ?? otherwise) / 100
    const shares = { moderate: percentOf('moderate', 30), hard: percentOf('hard', 10) }
    if (shares.hard > shares.moderate) {
      throw new ClawmeshError('USAGE', 'More questions would be hard than moderate or hard together.', {
        hint: 'Give a --hard that is not above --moderate.',
      })
    }
    const last = whole(values, 'last', 1, 1_000_000) ?? 10_000
    const data = dataFolder(values)
    const named = text(values, 'rules')
    const isWritten = values['write'] === true
    if (isWritten) checkWritable(data, named)
    const { rules } = named === undefined ? rulesOfMesh(data) : readRouterRules(named)
    const { found, unreadable } = await readFacts({
      ...{ config: readConfig(), path: data, progress, signal: stopWhenUnread() },
      ...{ kind: 'route.decided', schema: decidedSchema },
    })
    const asked = found.slice(-last).map(({ facts }) => facts)
    const of = (from: ComplexityLimits) => ({
      from,
      ...{ moderate: shareFrom(asked, from.moderate), hard: shareFrom(asked, from.hard) },
      cost: costUnder({ ...rules, order: { ...rules.order, from } }, asked),
    })
    const [now, proposed] = [of(rules.order.from), of(calibrate(asked, shares))]
    if (isWritten && asked.length > 0) await changeRulesOfMesh(data, (written) => withLimits(written, proposed.from))
    const most = Math.max(0, ...asked.map(({ points }) => points))
    const counts = Array.from({ length: most + 1 }, (_, n) => asked.filter(({ points }) => points === n).length)
    if (values['json']) {
      process.stdout.write(
        `${JSON.stringify({ ok: true, questions: asked.length, unreadable, counts, now, proposed, written: isWritten && asked.length > 0 })}\n`,
      )
      return 0
    }
    process.stdout.write(
      asked.length === 0
        ? 'No question that was weighed is on record yet.\n'
        : page(counts, now, proposed, rules, isWritten),
    )
    return 0
  },
}

function checkWritable(data: string, named: string | undefined): void {
  if (named !== undefined)
    throw new ClawmeshError('USAGE', '--write changes the rules of the mesh, and --rules names others.', {
      hint: 'Give one of the two.',
    })
  if (!existsSync(dataPaths(data).authority))
    throw new ClawmeshError('USAGE', `There is no mesh in ${data} whose rules could be changed.`, {
      hint: 'Type it on the machine of `clawmesh up` or `start`, or name the data folder with --data.',
    })
}

interface Reckoned {
  readonly from: ComplexityLimits
  readonly moderate: number
  readonly hard: number
  readonly cost: { readonly most: number; readonly unpriced: number }
}

function page(
  counts: readonly number[],
  now: Reckoned,
  proposed: Reckoned,
  { order }: RouterRules,
  isWritten: boolean,
): string {
  const all = counts.reduce((sum, count) => sum + count, 0)
  const widest = Math.max(...counts)
  const rows = counts.map((count, points) => {
    const bar = '█'.repeat(Math.round((30 * count) / widest)).padEnd(30)
    return `${String(points).padStart(6)}  ${bar}  ${String(count).padStart(6)}  ${complexityOf({ points }, proposed.from)}`
  })
  return [
    `points  of ${all} questions`,
    ...rows,
    '',
    `Now       ${said(now)}`,
    `Proposed  ${said(proposed)}`,
    ...(order.prices.length > 0
      ? [
          `Cost      at most ${spent(now)} now, ${spent(proposed)} then, had each been asked with auto: by the rules' own prices`,
        ]
      : []),
    '',
    isWritten ? 'Written into the router.yaml of the mesh, for its next start:' : 'In the router.yaml of the mesh:',
    '',
    'order:',
    `  from: { moderate: ${proposed.from.moderate}, hard: ${proposed.from.hard} }`,
    '',
  ].join('\n')
}

const percent = (share: number): string => `${Math.round(1000 * share) / 10} %`

const said = ({ from, moderate, hard }: Reckoned): string =>
  `moderate from ${from.moderate} points on: ${percent(moderate)}; hard from ${from.hard} on: ${percent(hard)}`

const spent = ({ cost }: Reckoned): string =>
  `${Number(cost.most.toPrecision(3))}${cost.unpriced > 0 ? ` (and ${cost.unpriced} without a price)` : ''}`
