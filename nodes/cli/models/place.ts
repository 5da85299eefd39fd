/** `clawmesh place TEXT`: where a prompt would go now and why: what each model that there is would take, or which filter drops it. Asks nobody. */
import type { Placement, Reason } from '../../../inference/place.js'
import type { NodeInfo } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { parseRouterRules } from '../../../policies/router.js'
import { elsewhereOf } from '../../elsewhere.js'
import { lookAtMesh, runningData } from '../../member/onlooker.js'
import { placeAmong } from '../../process/placing.js'
import { readRouterRules } from '../../router-rules.js'
import { taggerOf } from '../../tagger.js'
import { columns } from '../columns.js'
import { type Command, text, type Values, whole } from '../command.js'
import { jsonOption } from '../options.js'
import { printable } from '../printable.js'

export const place: Command = {
  name: 'place',
  usage: 'TEXT [--model NAME] [--tokens N] [--json]',
  help: 'Says where a prompt would go now, and why: for each model what an answer is predicted to take, part by part, or which filter drops it. Sends nothing.',
  options: {
    why: { type: 'string', value: 'TEXT', help: 'the prompt, as an option' },
    model: { type: 'string', value: 'NAME', help: 'only this model (default: any)' },
    tokens: { type: 'string', value: 'N', help: 'the most tokens that the answer may have (default: 256)' },
    data: { type: 'string', value: 'DIR', help: 'the data folder of the mesh, or of the node that joined it' },
    json: jsonOption,
  },
  takes: 'prompt',
  run,
}

async function run(given: string | undefined, values: Values): Promise<number> {
  const prompt = text(values, 'why') ?? given
  if (prompt === undefined)
    throw new ClawmeshError('USAGE', 'There is no prompt: what would be asked?', {
      hint: 'For example: `clawmesh place "how many lines has notes.txt?"`',
    })
  const maxTokens = whole(values, 'tokens', 1, 131_072) ?? 256
  const found = await lookAtMesh(runningData(text(values, 'data')), ({ directory }) => directory.nodes())
  const nodes = found.sort((a, b) => a.name.localeCompare(b.name))
  const elsewhere = elsewhereOf(nodes)
  // Its tables of telephone numbers are for commands that read prompts alone to load.
  const { explain } = await import('../../../router/explain.js')
  const rules = elsewhere ? parseRouterRules(elsewhere.rules, 'the router rules of the mesh') : readRouterRules().rules
  const { label, categories, decision, leaves } = await explain(prompt, rules, taggerOf(rules))
  const model = text(values, 'model')
  const request = { messages: [{ role: 'user' as const, content: prompt }], maxTokens }
  // A mesh with no way out keeps nothing from its own models, as when it is asked.
  const isBlocked = decision.effect === 'block' && (elsewhere?.models.length ?? 0) > 0
  const { chosen, reasons, short } = placeAmong(nodes, request, {
    zones: isBlocked ? [] : ['mesh'],
    ...(model === undefined ? {} : { models: [model] }),
  })
  const away = (elsewhere?.models ?? []).map((name) => ({
    model: name,
    may: leaves !== undefined && decision.models.includes(name),
  }))
  const verdict = {
    ...{ label, categories, rule: decision.rule, effect: decision.effect },
    chosen: chosen ? { node: chosen.node, model: chosen.model, short } : null,
    nodes: [...reasons, ...silent(nodes)],
    elsewhere: away,
  }
  process.stdout.write(
    values['json'] ? `${JSON.stringify({ ok: true, ...verdict })}\n` : `${printable(page(verdict, chosen))}\n`,
  )
  return 0
}

/** Nodes that could serve a model by their role, and say of none that they do. */
const silent = (nodes: readonly NodeInfo[]) =>
  nodes
    .filter(
      ({ roles, advert }) =>
        roles.includes('inference') && !(Array.isArray(advert['offers']) && advert['offers'].length > 0),
    )
    .map(({ name }) => ({ node: name, model: '-', refused: 'it offers no model', by: 'health' as const }))

interface Verdict {
  chosen: { short: boolean } | null
  label: string
  categories: readonly string[]
  rule: string
  effect: string
  nodes: Reason[]
  elsewhere: { model: string; may: boolean }[]
}

function page(
  { label, categories, rule, effect, nodes, elsewhere, chosen: said }: Verdict,
  chosen: Placement['chosen'],
): string {
  const ending = said?.short
    ? ', though its context is too short for such an answer, which may end sooner: no other has a longer one'
    : ''
  const rows = nodes.map((reason) => {
    const isChosen = chosen?.node === reason.node && chosen.model === reason.model
    if ('refused' in reason) return [reason.node, reason.model, '-', `dropped (${reason.by}): ${reason.refused}`]
    const { ms, wait, prefill, decode, load, network } = reason
    const parts = { wait, prompt: prefill, answer: decode, load, network }
    const sum = Object.entries(parts).map(([name, of]) => `${name} ${Math.round(of)}`)
    return [reason.node, reason.model, `${Math.round(ms)} ms`, `${sum.join(' + ')}${isChosen ? '   <- chosen' : ''}`]
  })
  const away = elsewhere.map(({ model, may }) => [
    'elsewhere',
    model,
    '-',
    may
      ? 'may see it; asked where the mesh has no model, or by its name, or for `auto`'
      : `dropped (zone): the rule ${rule} does not let it leave`,
  ])
  return [
    `Label     ${[label, ...categories].join(' ')}`,
    `Rule      ${rule} (${effect})`,
    `Chosen    ${chosen ? `${chosen.model} on ${chosen.node}${ending}` : 'none: no model passes'}`,
    '',
    columns(['NODE', 'MODEL', 'TAKES', 'WHY'], [...rows, ...away]),
  ].join('\n')
}
