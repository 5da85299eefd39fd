/** Policies: what each says, what it is meant to answer, and what it answers to an access of yours. */
import { at, h, say, tableOf } from './element.js'
import { call } from './gateway.js'

export const route = 'GET /v1/policies'
export const title = 'Policies'

export async function show(main, _signal, { may }) {
  const [{ policies }, own] = await Promise.all([
    call('/v1/policies'),
    may('GET /v1/policies/versions') ? call('/v1/policies/versions').catch(() => undefined) : undefined,
  ])
  main.append(
    h('h2', {}, title),
    ...(own ? inForceOf(own) : []),
    h('h3', {}, 'Presets'),
    h(
      'p',
      { class: 'soft' },
      'What comes with clawmesh. Below each: the accesses that it is held to by its truth table, and what it answers.',
    ),
    h(
      'div',
      { class: 'stack' },
      policies.map(({ name, text, table }, index) =>
        h(
          'details',
          { class: 'card policy', open: index === 0 },
          h('summary', {}, h('strong', {}, name), ' ', tallyOf(table)),
          h(
            'div',
            { class: 'split' },
            truthOf(table),
            h('pre', { tabindex: 0, 'aria-label': `The text of ${name}` }, text),
          ),
          asking(name),
        ),
      ),
    ),
  )
}

/** The newest version first, and what each node goes by. */
function inForceOf({ inForce, versions, nodes }) {
  const state = inForce === null ? 'No version yet: nodes that were given no policy go by ask-first.' : ''
  const rows = versions
    .toReversed()
    .map(({ version, time, by, name, reason, text }) => [
      version === inForce ? h('strong', {}, `${version} in force`) : version,
      at(time),
      by,
      h('details', {}, h('summary', {}, name), h('pre', {}, text)),
      reason,
    ])
  const states = nodes.map(({ name, policy, version, drift }) => [
    name,
    version === null ? policy : `${policy} v${version}`,
    drift === null ? h('span', { class: 'good' }, 'as in force') : h('span', { class: 'bad' }, drift),
  ])
  return [
    h('h3', {}, 'Of this mesh'),
    state ? h('p', { class: 'soft' }, state) : tableOf('Versions', ['version', 'since', 'by', 'name', 'why'], rows),
    states.length > 0 ? tableOf('Nodes', ['node', 'goes by', 'state'], states) : null,
  ].filter(Boolean)
}

const badge = (answer) => h('span', { class: `badge ${answer}` }, answer)

function tallyOf(table) {
  const wrong = table.filter(({ expected, answer }) => expected !== answer).length
  const text = `${table.length} accesses, ${wrong === 0 ? 'all as meant' : `${wrong} not as meant`}`
  return h('span', { class: wrong === 0 ? 'good' : 'bad' }, text)
}

const truthOf = (table) =>
  h(
    'ul',
    { class: 'truth' },
    table.map(({ kind, path, expected, answer, because }) =>
      h(
        'li',
        {},
        badge(answer),
        h('div', {}, h('code', {}, `${kind} ${path}`), h('p', { class: 'soft' }, because)),
        expected === answer ? null : h('span', { class: 'bad' }, `meant: ${expected}`),
      ),
    ),
  )

function asking(name) {
  const kind = h(
    'select',
    { name: 'kind' },
    ['read', 'write', 'execute'].map((one) => h('option', {}, one)),
  )
  const path = h('input', {
    name: 'path',
    required: true,
    value: '/etc/passwd',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const workspace = h('input', {
    name: 'workspace',
    required: true,
    value: '/workspace',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const result = h('p', { role: 'status' })
  const submit = async (event) => {
    event.preventDefault()
    const query = new URLSearchParams({ kind: kind.value, path: path.value.trim(), workspace: workspace.value.trim() })
    try {
      const { answer, because } = await call(`/v1/policies/${encodeURIComponent(name)}/explain?${query}`)
      result.replaceChildren(badge(answer), ` ${because}`)
    } catch (error) {
      say(error.message)
    }
  }
  return h(
    'form',
    { onsubmit: submit },
    h('label', {}, 'May an action', kind),
    h('label', { class: 'wide' }, 'this path', path),
    h('label', { class: 'wide' }, 'in the workspace', workspace),
    h('button', {}, 'Ask the policy'),
    result,
  )
}
