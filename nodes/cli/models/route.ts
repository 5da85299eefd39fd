/** `clawmesh route --explain FILE|-`: what is sensitive in a text, which rule decides, and what would leave. Nothing leaves. */
import { readFileSync } from 'node:fs'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Preference } from '../../../policies/preference.js'
import type { Spending } from '../../../router/egress/spending.js'
import type { ExplainedBudget, ExplainedFinding, Explanation } from '../../../router/explain.js'
import { readRouterRules, rulesOfMesh, spendingFile } from '../../router-rules.js'
import { taggerOf } from '../../tagger.js'
import { type Command, text } from '../command.js'
import { dataFolder, dataOption } from '../options.js'
import { printable } from '../printable.js'

export const route: Command = {
  name: 'route',
  usage: '--explain FILE|- [--rules FILE] [--json] [--data DIR]',
  help: 'Says what the privacy router finds in a text, which rule decides where it may go, and what would leave. Sends nothing.',
  options: {
    explain: { type: 'string', value: 'FILE', help: 'the text; - reads it from standard input' },
    rules: { type: 'string', value: 'FILE', help: 'router rules to use instead of those of the mesh' },
    data: { ...dataOption, help: `${dataOption.help}: its rules are gone by, and what their budgets have given` },
    json: { type: 'boolean', help: 'print everything as one JSON object' },
  },
  run: async (_, values) => {
    const file = text(values, 'explain')
    if (file === undefined) {
      throw new ClawmeshError('USAGE', 'There is no text to explain.', {
        hint: 'Name a file with --explain, or - for standard input.',
      })
    }
    // Its tables of telephone numbers are for this command alone to load.
    const { explain } = await import('../../../router/explain.js')
    const [data, named] = [dataFolder(values), text(values, 'rules')]
    const { rules } = named === undefined ? rulesOfMesh(data) : readRouterRules(named)
    const spending = rules.budgets.length > 0 ? await spendingOf(data) : undefined
    const explanation = await explain(readText(file), rules, taggerOf(rules), spending)
    process.stdout.write(values['json'] ? `${JSON.stringify({ ok: true, ...explanation })}\n` : page(explanation))
    return 0
  },
}

/** To look at alone: the mesh that writes it may run. */
async function spendingOf(data: string): Promise<Spending> {
  const { Spending } = await import('../../../router/egress/spending.js')
  return Spending.look(spendingFile(data))
}

function page(explanation: Explanation): string {
  const { label, categories, findings, decision, leaves, left, unnamed, preference, budgets, judge } = explanation
  const { effect, rule, models } = decision
  return [
    ...findings.map(row),
    ...(findings.length > 0 ? [''] : []),
    `Label     ${[label, ...categories].join(' ')}`,
    `Rule      ${rule}`,
    `Decision  ${meaning[effect]}${effect === 'redact' ? `: ${decision.redact.join(', ')}` : ''}`,
    ...(left.length > 0 ? ['Leaves    nothing: after redaction this is left', ...left.map(row)] : []),
    ...(unnamed === undefined ? [] : [`Leaves    nothing: ${unnamed}`]),
    ...(leaves === undefined && left.length === 0 && unnamed === undefined
      ? [`Leaves    nothing${noModel(effect, models)}`]
      : []),
    ...budgets.map(budgetLine),
    ...order(preference),
    ...(judge === undefined ? [] : [`Judge     ${judge} would be asked of what leaves, and may keep it`]),
    ...(leaves === undefined ? [] : [`Leaves    to ${models.join(', ')}:`, '', printable(leaves)]),
    '',
  ].join('\n')
}

const budgetLine = ({ budget, model, limit, taken, most, isSpent }: ExplainedBudget): string =>
  `Budget    ${budget}: ${taken} of ${limit} is taken, ${most === undefined ? `${model} has no price` : `${model} may take ${most}`}: ${isSpent ? 'as good as spent' : 'enough is left'}`

/** Why `auto` asks whom first, where the rules say anything of it. */
function order({ complexity, models, by, costs }: Preference): string[] {
  if (models.length === 0) return []
  const why =
    by === 'price'
      ? `the cheapest that is good enough for a ${complexity} prompt`
      : `the list for ${complexity} prompts`
  const named = models.map((model, index) =>
    by === 'price' ? `${model} (${Number((costs[index] ?? 0).toPrecision(2))})` : model,
  )
  return [`Order     ${named.join(', ')}: ${why}`]
}

const meaning = {
  block: 'block: no model sees it',
  local: 'local: models of the mesh alone',
  redact: 'redact, then models elsewhere too',
  allow: 'allow: models elsewhere too, as it is',
} as const

const noModel = (effect: keyof typeof meaning, models: readonly string[]): string =>
  (effect === 'redact' || effect === 'allow') && models.length === 0 ? ': the rules name no model elsewhere' : ''

function row({ line, column, kind, of, label, category, excerpt, steps }: ExplainedFinding): string {
  const what = of === undefined ? kind : `${kind} (${of})`
  const how = steps.length === 0 ? '' : `  by ${steps.join(', ')}`
  return `${`${line}:${column}`.padEnd(8)}  ${what.padEnd(24)}  ${[label, category ?? ''].join(' ').padEnd(20)}  ${printable(excerpt.replaceAll('\n', '⏎'))}${how}`
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (cause) {
    throw new ClawmeshError(
      'USAGE',
      `${file === '-' ? 'Standard input' : file} cannot be read: ${(cause as Error).message}.`,
      {
        hint: 'Give the path of a text file.',
        cause,
      },
    )
  }
}
