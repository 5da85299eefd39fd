/** What was asked, and how it comes about: each task a tree of its steps, as they happen. */
import { at, h, pause, say } from './element.js'
import { call, follow } from './gateway.js'
import { treeOf } from './tree.js'

export const route = 'GET /v1/tasks'
export const title = 'Tasks'

const shownMost = 50

export async function show(main, signal, { may }) {
  const list = h('div', { class: 'stack' })
  const none = h('p', { class: 'soft' }, 'Nothing was asked yet.')
  main.append(h('h2', {}, title), ...(may('POST /v1/tasks') ? [form(() => refresh())] : []), none, list)
  const cards = new Map()
  const refresh = async () => {
    const { tasks } = await call('/v1/tasks')
    for (const task of tasks.slice(-shownMost)) {
      if (cards.has(task.id) || signal.aborted) continue
      const card = cardOf(task, signal, may, cards.size === tasks.slice(-shownMost).length - 1)
      cards.set(task.id, card)
      list.prepend(card)
    }
    none.hidden = cards.size > 0
    if (!may('GET /v1/approvals') || signal.aborted) return
    const { questions } = await call('/v1/approvals')
    const held = new Set(questions.map(({ task }) => task))
    for (const [id, card] of cards) card.querySelector('.held').hidden = !held.has(id)
  }
  while (!signal.aborted) {
    await refresh()
    await pause(3000, signal)
  }
}

function form(done) {
  const request = h('input', { name: 'request', required: true, maxlength: 2000, autocomplete: 'off' })
  const submit = async (event) => {
    event.preventDefault()
    try {
      const { id } = await call('/v1/tasks', { method: 'POST', body: { request: request.value } })
      say(`Task ${id} has begun.`)
      request.value = ''
      await done()
    } catch (error) {
      say(error.message)
    }
  }
  return h(
    'form',
    { onsubmit: submit },
    h('label', { class: 'wide' }, 'What is to be done', request),
    h('button', {}, 'Ask the mesh'),
  )
}

/** One that is closed follows nothing: a connection is for what somebody looks at. */
function cardOf(task, signal, may, open) {
  const state = h(
    'span',
    { class: `badge ${task.state === 'ended' ? endOf(task.outcome) : 'ask'}` },
    task.state === 'ended' ? endOf(task.outcome) : task.state,
  )
  const answer = h('p', { class: 'answer' }, task.outcome?.answer ?? '')
  const tree = h('div')
  const cancel = h('button', { type: 'button', onclick: () => end(task.id) }, 'Cancel')
  const records = []
  const take = (record) => {
    records.push(record)
    tree.replaceChildren(treeOf(records))
    if (record.type !== 'ended') return
    state.className = `badge ${endOf(record.outcome)}`
    state.textContent = endOf(record.outcome)
    answer.textContent = record.outcome?.answer ?? ''
    cancel.remove()
  }
  let isFollowed = false
  const card = h(
    'details',
    { class: 'card task', ontoggle: () => card.open && look() },
    h(
      'summary',
      {},
      state,
      ' ',
      h('strong', {}, task.facts?.request ?? task.id),
      h('span', { class: 'soft' }, ' ', at(task.begunAt), ` by ${task.by}`),
      h('a', { class: 'held', href: '#approvals', hidden: true }, ' waits for a person'),
    ),
    answer,
    tree,
    may('POST /v1/tasks/:id/cancel') && task.state !== 'ended' ? h('div', { class: 'actions' }, cancel) : null,
  )
  const look = () => {
    if (isFollowed) return
    isFollowed = true
    follow(`/v1/tasks/${encodeURIComponent(task.id)}/events`, take, signal, { untilEnd: true }).catch((error) =>
      say(error.message),
    )
  }
  card.open = open
  return card
}

const endOf = (outcome) => (outcome?.ok ? 'done' : 'failed')

async function end(id) {
  try {
    await call(`/v1/tasks/${encodeURIComponent(id)}/cancel`, { method: 'POST', body: {} })
    say('It is cancelled.')
  } catch (error) {
    say(error.message)
  }
}
