/** The console: a key is entered once, and then each view shows what its role may see. */
import * as approvals from './approvals.js'
import * as audit from './audit.js'
import * as costs from './costs.js'
import * as debates from './debates.js'
import { h, say } from './element.js'
import { call, key } from './gateway.js'
import * as mesh from './mesh.js'
import * as policies from './policies.js'
import * as tasks from './tasks.js'

const views = { mesh, tasks, debates, approvals, policies, costs, audit }
const main = document.getElementById('main')
let current = new AbortController()
let me

addEventListener('hashchange', () => open())
await begin()

async function begin() {
  if (!key.get()) return askKey()
  try {
    me = await call('/v1/whoami')
    open()
  } catch (error) {
    key.clear()
    askKey(error.message)
  }
}

function askKey(why = '') {
  current.abort()
  say(why)
  const field = h('input', { type: 'password', name: 'key', autocomplete: 'off', required: true, spellcheck: 'false' })
  const submit = (event) => {
    event.preventDefault()
    key.set(field.value.trim())
    void begin()
  }
  main.replaceChildren(
    h('h2', {}, 'Enter your key'),
    h(
      'p',
      {},
      'Whoever runs the mesh makes one: ',
      h('code', {}, 'npm run clawmesh -- keys add NAME --role ROLE'),
      '. It is kept in this tab until you close it.',
    ),
    h('form', { onsubmit: submit }, h('label', { class: 'wide' }, 'Key', field), h('button', {}, 'Enter')),
  )
  field.focus()
}

function open() {
  const may = (route) => me.routes.includes(route)
  const able = Object.entries(views).filter(([, view]) => may(view.route))
  const [name, view] = able.find(([one]) => location.hash === `#${one}`) ?? able[0] ?? []
  document
    .getElementById('views')
    .replaceChildren(
      ...able.map(([one, { title }]) =>
        h('a', { href: `#${one}`, 'aria-current': one === name ? 'page' : undefined }, title),
      ),
    )
  const leave = () => {
    key.clear()
    location.reload()
  }
  document
    .getElementById('who')
    .replaceChildren(`${me.name} (${me.role}) `, h('button', { type: 'button', onclick: leave }, 'Leave'))
  current.abort()
  current = new AbortController()
  main.replaceChildren()
  say('')
  if (!view) return main.append(h('p', {}, `A key with the role ${me.role} has nothing to look at here.`))
  const { signal } = current
  Promise.resolve(view.show(main, signal, { may })).catch((error) => {
    if (signal.aborted) return
    if (error.status === 401) {
      key.clear()
      askKey(error.message)
    } else say(error.message)
  })
}
