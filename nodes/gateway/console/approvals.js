/** Held actions, for a person to answer: by mouse, or by keys while one of them has the focus. */
import { at, h, say, terms } from './element.js'
import { call, follow } from './gateway.js'

export const route = 'GET /v1/approvals'
export const title = 'Approvals'

/** What was typed last for `N`. */
let uses = 3

const answers = [
  { key: 'a', label: 'Allow once', body: { answer: 'allow', reach: 'once' } },
  { key: 's', label: 'Allow for this task', body: { answer: 'allow', reach: 'session' } },
  { key: 't', label: 'Allow for 15 minutes', body: { answer: 'allow', reach: 'time', forMs: 900_000 } },
  { key: 'u', label: 'Allow N times', body: { answer: 'allow', reach: 'uses' } },
  { key: 'r', label: 'Refuse', body: { answer: 'refuse', reach: 'once' } },
  { key: 'n', label: 'Refuse all of this task', body: { answer: 'refuse', reach: 'session' } },
]

export function show(main, signal, { may }) {
  const mayAnswer = may('POST /v1/approvals/:id')
  const list = h('ul', { class: 'cards' })
  const none = h('p', { class: 'soft' }, 'Nothing is held.')
  const help = [['j', 'k'], ...answers.map(({ key }) => [key])].map((keys) => keys.map((one) => h('kbd', {}, one)))
  const does = ['choose one, then:', ...answers.map(({ label }) => label.toLowerCase())]
  const keys = help.flatMap((one, index) => [...one, ` ${does[index]}  `])
  main.append(h('h2', {}, title), h('p', { class: 'soft' }, keys), none, list)
  const cards = new Map()
  const take = (view) => {
    const before = cards.get(view.id)
    const hadFocus = before?.contains(document.activeElement)
    if (view.verdict) {
      if (hadFocus) (before.nextElementSibling ?? before.previousElementSibling ?? main).focus()
      before?.remove()
      cards.delete(view.id)
      say(`${view.tool}: ${view.verdict.answer === 'allow' ? 'allowed' : 'refused'} by ${view.verdict.by}`)
    } else {
      const card = cardOf(view, mayAnswer)
      if (before) before.replaceWith(card)
      else {
        list.append(card)
        say(`Held: ${headline(view)}`)
      }
      cards.set(view.id, card)
      if (hadFocus) card.focus()
    }
    none.hidden = cards.size > 0
    document.title = cards.size > 0 ? `(${cards.size}) clawmesh` : 'clawmesh'
  }
  document.addEventListener('keydown', (event) => onKey(event, list, mayAnswer), { signal })
  return follow('/v1/approvals/events', take, signal)
}

/** A path that could be taken for more than one, or be read otherwise than it is, in quotes and with what is not seen spelled out. */
const whole = (path) =>
  /["\\\p{C}\p{Zl}\p{Zp}]/u.test(path)
    ? JSON.stringify(path).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`)
    : path

const verbs = {
  remove: 'remove',
  'remove-folder': 'remove the folder',
  'make-folder': 'make the folder',
  rename: 'rename',
  'rename-folder': 'rename the folder, with all that is in it,',
  mode: 'set the mode of',
  times: 'set the times of',
  link: 'give',
  symlink: 'make the link',
}

const towards = { link: 'the second name', symlink: 'that leads whoever follows it, outside of the sandbox too, to' }

const deed = ({ kind, path, by, operation, to, replaces }) =>
  `${verbs[operation] ?? kind} ${whole(path)}${to ? ` ${towards[operation] ?? 'to'} ${whole(to)}${replaces ? ', which is replaced,' : ''}` : ''}${by ? ` by ${whole(by)}` : ''}`

const headline = ({ tool, node, missing }) => `${tool} on ${node} wants to ${missing.map(deed).join(' and ')}`

function cardOf(view, mayAnswer) {
  const { id, task, args, adds, workspace, deadline, folded, behind } = view
  const added = Object.entries(adds).flatMap(([field, paths]) =>
    paths.length > 0 ? [`${field}:`, ...paths.map((path) => h('span', { class: 'plus' }, `+ - ${whole(path)}`))] : [],
  )
  const buttons = answers.map(({ key, label, body }) =>
    h(
      'button',
      { type: 'button', class: body.answer === 'allow' ? 'yes' : 'no', onclick: () => answer(id, body) },
      `${label} `,
      h('kbd', {}, key),
    ),
  )
  return h(
    'li',
    { class: 'card', tabindex: 0, 'data-id': id },
    h('h3', {}, headline(view)),
    terms({
      task,
      workspace,
      until: at(deadline),
      'also waiting': [folded > 0 ? `${folded} of the same` : '', behind > 0 ? `${behind} others of the task` : '']
        .filter(Boolean)
        .join(', '),
    }),
    h('p', { class: 'soft' }, 'Exact arguments'),
    h('pre', {}, JSON.stringify(args, null, 2)),
    h(
      'p',
      { class: 'soft' },
      added.length > 0 ? 'A yes adds to its policy' : 'A yes is for this: nothing is added to its policy',
    ),
    added.length > 0
      ? h(
          'pre',
          {},
          added.flatMap((line, index) => (index === 0 ? [line] : ['\n', line])),
        )
      : null,
    mayAnswer ? h('div', { class: 'actions' }, buttons, h('label', {}, 'N, this one counted', number())) : null,
  )
}

const number = () =>
  h('input', {
    ...{ type: 'number', min: 2, max: 1000, value: uses },
    oninput: ({ target }) => {
      uses = target.valueAsNumber
    },
  })

function onKey({ key, target, ctrlKey, metaKey, altKey }, list, mayAnswer) {
  if (ctrlKey || metaKey || altKey || target.matches('input, select')) return
  const cards = [...list.children]
  const here = cards.findIndex((card) => card.contains(document.activeElement))
  if (key === 'j') cards[Math.min(here + 1, cards.length - 1)]?.focus()
  if (key === 'k') cards[Math.max(here - 1, 0)]?.focus()
  const chosen = answers.find((one) => one.key === key)
  if (chosen && mayAnswer && here >= 0) void answer(cards[here].dataset.id, chosen.body)
}

async function answer(id, body) {
  try {
    const sent = body.reach === 'uses' ? { ...body, uses } : body
    await call(`/v1/approvals/${encodeURIComponent(id)}`, { method: 'POST', body: sent })
  } catch (error) {
    say(error.message)
  }
}
