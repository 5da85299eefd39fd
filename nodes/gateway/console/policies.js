/** Policies: what each says, what it is meant to answer, and what it answers to an access of yours. */
import { h, say } from './element.js'
import { call } from './gateway.js'

export const route = 'GET /v1/policies'
export const title = 'Policies'

export async function show(main) {
  const { policies } = await call('/v1/policies')
  main.append(
    h('h2', {}, title),
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
