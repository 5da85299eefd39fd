/**
 * Runs a benchmark: `npm run bench -- NAME [--json]`. Prints a table, or with --json one object a line for each figure:
 * {bench, metric, value, unit, baseline, ratio, aim, ok}.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installation } from '../mesh/installation.js'
import { undisturbed } from '../test/kit/undisturbed.js'
import type { Figure, Report } from './figure.js'

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true })
const known = readdirSync(join(installation, 'bench'))
  .filter((file) => file.endsWith('.ts') && !['run.ts', 'figure.ts'].includes(file))
  .map((file) => file.replace(/\.ts$/, ''))

const [name] = positionals
if (name === undefined || !known.includes(name)) {
  process.stderr.write(`Usage: npm run bench -- NAME [--json]. Names: ${known.join(', ')}\n`)
  process.exit(2)
}

const figures: Figure[] = []
// Some peers compute by onnxruntime in this process.
Object.assign(process.env, undisturbed)
const { default: bench } = (await import(`./${name}.js`)) as { default: (report: Report) => Promise<void> }
await bench((figure) => {
  figures.push(figure)
  if (!values.json) return
  const { metric, value, unit, baseline = null, ratio = null, aim = null, ok = null } = figure
  process.stdout.write(`${JSON.stringify({ bench: name, metric, value, unit, baseline, ratio, aim, ok })}\n`)
})
if (!values.json) process.stdout.write(table(figures))

function table(rows: Figure[]): string {
  const cells = rows.map(({ metric, value, unit, baseline, ratio, aim, ok }) => [
    metric,
    `${round(value)} ${unit}`,
    baseline === undefined ? '' : String(round(baseline)),
    ratio === undefined ? '' : String(round(ratio)),
    aim ?? '',
    ok === undefined ? '' : ok ? 'yes' : 'no',
  ])
  const all = [['figure', 'value', 'baseline', 'ratio', 'aim', 'reached'], ...cells]
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return `${all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')}\n`
}

function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
