/** Who is in the mesh, what each machine has, and what it serves. */
import { at, h, terms } from './element.js'
import { call } from './gateway.js'

const everyMs = 5000
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`

export const route = 'GET /v1/nodes'
export const title = 'Nodes'

export async function show(main, signal) {
  const list = h('ul', { class: 'cards' })
  main.append(h('h2', {}, title), list)
  while (!signal.aborted) {
    const { nodes } = await call('/v1/nodes')
    list.replaceChildren(...nodes.sort((a, b) => a.name.localeCompare(b.name)).map(card))
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

function card({ name, roles, model, zone, draining, sandbox, since, hardware, notes }) {
  return h(
    'li',
    { class: 'card' },
    h('h3', {}, name, draining ? h('span', { class: 'bad' }, ' draining') : null),
    terms({
      roles: roles.join(', '),
      model: model && `${model} (${zone === 'mesh' ? 'in the mesh' : 'elsewhere'})`,
      actions: sandbox ? 'held in a sandbox' : null,
      machine:
        hardware &&
        [`${hardware.threads} threads`, gigabytes(hardware.memoryTotal), ...hardware.accelerators].join(', '),
      memory: hardware?.memoryFree ? load(hardware) : null,
      since: since && at(since),
      notes: notes.join('; '),
    }),
  )
}

function load({ memoryTotal, memoryFree }) {
  const used = memoryTotal - memoryFree
  const text = `${gigabytes(used)} of ${gigabytes(memoryTotal)} used when it joined`
  return h('span', {}, h('meter', { min: 0, max: 1, value: used / memoryTotal, 'aria-label': text }), ' ', text)
}
