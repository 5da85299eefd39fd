/** The audit trail: what matches, and what comes. */
import { at, h, say } from './element.js'
import { call, follow } from './gateway.js'

export const route = 'GET /v1/audit'
export const title = 'Audit'

const rowsMost = 1000
const shortFacts = 90

export async function show(main, signal) {
  const rows = h('tbody')
  const fields = {
    kind: h('input', { name: 'kind', placeholder: 'action.held, or action' }),
    trace: h('input', { name: 'trace', placeholder: 'a task' }),
    node: h('input', { name: 'node' }),
  }
  const more = h('p', { class: 'soft' })
  let following = new AbortController()
  const look = async () => {
    following.abort()
    following = new AbortController()
    const stop = AbortSignal.any([signal, following.signal])
    const filter = Object.entries(fields).flatMap(([name, { value }]) => (value ? [[name, value.trim()]] : []))
    const query = new URLSearchParams(filter)
    const found = await call(`/v1/audit?${new URLSearchParams([...filter, ['limit', '200']])}`)
    rows.replaceChildren(...found.events.toReversed().map(rowOf))
    more.textContent = `✓ ${found.events.length} events, each verified as it was read${found.more ? '; there are older ones' : ''}`
    // From the newest that is shown on: what came meanwhile is not missed.
    const last = found.events.at(-1)?.id
    follow(
      `/v1/audit/events?${query}`,
      (event) => {
        rows.prepend(rowOf(event))
        while (rows.children.length > rowsMost) rows.lastElementChild.remove()
      },
      stop,
      { last },
    ).catch((error) => say(error.message))
  }
  const submit = (event) => {
    event.preventDefault()
    look().catch((error) => say(error.message))
  }
  main.append(
    h('h2', {}, title),
    h(
      'form',
      { onsubmit: submit, role: 'search' },
      Object.entries(fields).map(([name, input]) => h('label', {}, name, input)),
      h('button', {}, 'Look'),
    ),
    more,
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Events' },
      h(
        'table',
        { class: 'audit' },
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ['time', 'kind', 'node', 'by', 'facts'].map((name) => h('th', { scope: 'col' }, name)),
          ),
        ),
        rows,
      ),
    ),
  )
  await look()
}

const rowOf = ({ time, kind, node, actor, facts }) =>
  h(
    'tr',
    {},
    h('td', {}, at(time)),
    h('td', {}, h('code', {}, kind)),
    h('td', {}, node),
    h('td', {}, actor),
    h('td', { class: 'facts' }, factsOf(facts)),
  )

function factsOf(facts) {
  const text = JSON.stringify(facts)
  if (text.length <= shortFacts) return h('code', {}, text)
  return h(
    'details',
    {},
    h('summary', {}, h('code', {}, `${text.slice(0, shortFacts)}…`)),
    h('pre', {}, JSON.stringify(facts, null, 2)),
  )
}
