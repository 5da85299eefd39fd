/** What was asked, and the steps of it as they happen. */
import { at, h, say } from './element.js'
import { call, follow } from './gateway.js'

export const route = 'GET /v1/tasks'
export const title = 'Tasks'

const shownMost = 50

export async function show(main, signal, { may }) {
  const list = h('ul', { class: 'cards' })
  main.append(h('h2', {}, title), ...(may('POST /v1/tasks') ? [form(() => refresh())] : []), list)
  const cards = new Map()
  const refresh = async () => {
    const { tasks } = await call('/v1/tasks')
    for (const task of tasks.slice(-shownMost)) {
      if (cards.has(task.id)) continue
      const card = cardOf(task, signal, may)
      cards.set(task.id, card)
      list.prepend(card)
    }
  }
  while (!signal.aborted) {
    await refresh()
    await new Promise((resolve) => setTimeout(resolve, 3000))
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

function cardOf(task, signal, may) {
  const steps = h('ol', { class: 'steps' })
  const state = h('p', { class: 'soft' }, task.state)
  const rows = new Map()
  const row = (step, text, look) => {
    const item = rows.get(step) ?? h('li')
    rows.set(step, item)
    item.replaceChildren(h('span', { class: look }, text), ` ${step}`)
    steps.append(item)
  }
  const cancel = h('button', { type: 'button', onclick: () => end(task.id) }, 'Cancel')
  const take = (record) => {
    if (record.type === 'begun') row(record.step, 'begun', 'soft')
    if (record.type === 'done') row(record.step, 'done', 'good')
    if (record.type === 'failed') row(record.step, `failed (${record.failure.message})`, 'bad')
    if (record.type === 'cleared') row(record.step, 'to be done again', 'soft')
    if (record.type !== 'ended') return
    const { ok, answer } = record.outcome ?? {}
    state.replaceChildren(
      h('span', { class: ok ? 'good' : 'bad' }, ok ? 'done' : 'failed'),
      answer ? `: ${answer}` : '',
    )
    cancel.remove()
  }
  follow(`/v1/tasks/${encodeURIComponent(task.id)}/events`, take, signal, { untilEnd: true }).catch((error) =>
    say(error.message),
  )
  return h(
    'li',
    { class: 'card' },
    h('h3', {}, task.facts?.request ?? task.id),
    h('p', { class: 'soft' }, at(task.begunAt), ` by ${task.by}`),
    state,
    steps,
    may('POST /v1/tasks/:id/cancel') && task.state !== 'ended' ? h('div', { class: 'actions' }, cancel) : null,
  )
}

async function end(id) {
  try {
    await call(`/v1/tasks/${encodeURIComponent(id)}/cancel`, { method: 'POST', body: {} })
    say('It is cancelled.')
  } catch (error) {
    say(error.message)
  }
}
