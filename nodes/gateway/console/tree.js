/** The journal of a task as a tree: what was planned, the parts and who did them, the votes. */
import { h } from './element.js'

const marks = { begun: '◔', done: '●', failed: '✕', cleared: '↺' }
const words = { begun: 'under way', done: 'done', failed: 'failed', cleared: 'to be done again' }

/** Steps of one kind (`part 1`, `part 2`; `vote of …`) are under one branch. */
export function treeOf(records) {
  const steps = new Map()
  for (const record of records) {
    if (record.step === undefined) continue
    const { type, step, result, failure } = record
    // What a person has answered is done as well.
    const state = type === 'answered' ? 'done' : type
    steps.set(step, { step, state, result: result ?? steps.get(step)?.result, why: failure?.message })
  }
  const plan = steps.get('plan')?.result
  const branches = new Map()
  for (const one of steps.values()) {
    const [, kind = one.step] = /^(part|vote|step|question)\b/.exec(one.step) ?? []
    branches.set(kind, [...(branches.get(kind) ?? []), one])
  }
  return h(
    'ul',
    { class: 'tree' },
    [...branches].map(([kind, some]) =>
      some.length === 1 && some[0].step === kind
        ? leafOf(some[0], plan)
        : h(
            'li',
            {},
            h('span', { class: 'branch' }, `${kind}s`),
            ` ${tallyOf(some)}`,
            h(
              'ul',
              {},
              some.map((one) => leafOf(one, plan)),
            ),
          ),
    ),
  )
}

const tallyOf = (some) => `${some.filter(({ state }) => state === 'done').length} of ${some.length}`

function leafOf({ step, state, result, why }, plan) {
  const about = textOf(step, result, plan)
  return h(
    'li',
    { class: state },
    h('span', { class: 'mark', 'aria-hidden': 'true' }, marks[state]),
    h('strong', {}, step),
    h('span', { class: state === 'failed' ? 'bad' : 'soft' }, ` ${words[state]}${why ? `: ${why}` : ''}`),
    about ? h('p', {}, about) : null,
    result === undefined || result === null
      ? null
      : h('details', { class: 'result' }, h('summary', {}, 'result'), h('pre', {}, JSON.stringify(result, null, 2))),
  )
}

/** What a step was about, where its result or the plan says so. */
function textOf(step, result, plan) {
  const [, number] = /^part (\d+)$/.exec(step) ?? []
  const part = number && [...(plan?.collective ?? []), ...(plan?.single ?? [])][Number(number) - 1]
  const { node, call, outcome, choice } = Object(result)
  const acted = call && `${node}: ${call.name}(${Object.values(call.arguments).join(', ')})`
  const said =
    outcome?.result?.summary ?? outcome?.reason ?? (choice === undefined ? undefined : JSON.stringify(choice))
  return [part?.words, acted, said].filter(Boolean).join(' → ')
}
