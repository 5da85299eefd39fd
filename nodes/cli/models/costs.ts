/** `clawmesh costs`: what the questions to models cost, by the audit trail and a price table, and what they would have cost elsewhere. */
import { costOf, frontierCostOf, type Priced } from '../../../policies/prices.js'
import { type CostLine, sumOf, sumsBy } from '../../agents/model/cost-line.js'
import { usedSchema } from '../../agents/model/costs.js'
import { readFacts } from '../../audit/facts.js'
import { readConfig } from '../../config.js'
import { type Command, text } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { stopWhenUnread } from '../stop.js'
import { progress } from '../terminal.js'
import { pricesOf } from './prices.js'

interface Used extends Priced {
  readonly task: string
  readonly actor: string
  readonly node: string
  /** The version of the price table when it was asked. */
  readonly prices: string
  readonly burned: number
}

export const costs: Command = {
  name: 'costs',
  usage: '[--task TASK] [--prices FILE] [--json] [--data DIR]',
  help: 'Says what the questions to models cost as they were run, and what the same trace would cost at frontier rates.',
  options: {
    task: { type: 'string', value: 'TASK', help: 'only this task' },
    prices: {
      type: 'string',
      value: 'FILE',
      help: 'the price table (default: policies/prices.yaml, examples to be edited)',
    },
    data: dataOption,
    json: jsonOption,
  },
  run: async (_, values) => {
    const prices = pricesOf(values)
    const task = text(values, 'task')
    const { found, unreadable } = await readFacts({
      ...{ config: readConfig(), path: dataFolder(values), progress, signal: stopWhenUnread() },
      ...{ kind: 'model.used', schema: usedSchema, task },
    })
    const used: Used[] = found.map(({ facts, ...by }) => ({ ...facts, ...by }))
    const priced = used.map((each) => ({ ...each, cost: costOf(prices, each), frontier: frontierCostOf(prices, each) }))
    const { version, currency, source, frontier } = prices
    const versions = [...new Set(used.map((each) => each.prices))]
    const sum = sumOf(priced)
    const burned = used.reduce((tokens, each) => tokens + each.burned, 0)
    const byModel = sumsBy(priced, ({ model, zone }) => (zone === 'mesh' ? `${model} (mesh)` : model))
    const byActor = sumsBy(priced, ({ actor }) => actor)
    if (values['json']) {
      const table = { version, currency, source, frontier: frontier.name, versionsOfTheirTime: versions }
      process.stdout.write(
        `${JSON.stringify({ ok: true, prices: table, sum, unreadable, burned, byModel, byActor, requests: priced })}\n`,
      )
      return 0
    }
    const head = ['', 'requests', 'prompt', 'cached', 'output', 'seconds', 'on GPUs', currency, `frontier ${currency}`]
    const rows = [...byModel, ...byActor.map((line) => ({ ...line, name: `by ${line.name}` })), { name: 'all', ...sum }]
    const lines = [
      ...(used.length === 0
        ? [
            task === undefined ? 'No model was asked yet.' : `No question of a task ${task} to a model is on record.`,
            '',
          ]
        : []),
      ...table([head, ...rows.map(rowOf)]),
      '',
      `As run: ${sum.cost.toFixed(4)} ${currency}, by the price table ${version} (${source}).`,
      `The same trace at frontier rates (${frontier.name}): ${sum.frontier.toFixed(4)} ${currency}. That is a calculation: no such model was asked for it.`,
      ...(sum.unpriced > 0
        ? [`${sum.unpriced} requests are in no sum of ${currency}: no price for the model, or no count.`]
        : []),
      ...(sum.uncounted > 0 ? [`Of ${sum.uncounted} requests nobody counted the tokens.`] : []),
      ...(unreadable > 0
        ? [`${unreadable} records of the trail are in no sum: they do not say what one says that clawmesh writes.`]
        : []),
      ...(burned > 0
        ? [`Of answers that broke off or were cancelled, at least ${burned} tokens had come; they are in no sum.`]
        : []),
      ...(versions.some((each) => each !== version) ? [`Asked under the price tables ${versions.join(', ')}.`] : []),
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
    return 0
  },
}

const rowOf = (line: CostLine & { name: string }): string[] => [
  printable(line.name),
  ...[line.requests, line.promptTokens, line.cachedTokens, line.outputTokens].map(String),
  line.seconds.toFixed(1),
  line.gpuSeconds.toFixed(1),
  line.cost.toFixed(4),
  line.frontier.toFixed(4),
]

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  )
}
