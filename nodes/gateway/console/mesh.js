/** The mesh as it is now: a map of its machines around their broker, what each has, how busy it is, what it serves. */
import { at, figures, h, pause, tableOf, terms } from './element.js'
import { call } from './gateway.js'
import { drawMap } from './map.js'

export const route = 'GET /v1/nodes'
export const title = 'Mesh'

const everyMs = 3000
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`

export async function show(main, signal) {
  const sums = h('div')
  const map = h('div', { class: 'map' })
  const details = h('aside', { class: 'card details', 'aria-live': 'polite', 'aria-label': 'The chosen machine' })
  const list = h('div')
  main.append(h('h2', {}, title), sums, h('div', { class: 'split' }, map, details), h('h3', {}, 'All machines'), list)
  let nodes = []
  let chosen
  let seen = ''
  const draw = () => {
    chosen = nodes.some(({ name }) => name === chosen) ? chosen : nodes[0]?.name
    drawMap(map, nodes, chosen, (name) => {
      chosen = name
      draw()
    })
    details.replaceChildren(...detailsOf(nodes.find(({ name }) => name === chosen)))
  }
  const resized = new ResizeObserver(() => nodes.length > 0 && draw())
  resized.observe(map)
  signal.addEventListener('abort', () => resized.disconnect())
  while (!signal.aborted) {
    const found = await call('/v1/nodes')
    if (signal.aborted) return
    // What has not changed is left alone: whoever reads it, or selects in it, is not disturbed.
    const text = JSON.stringify(found)
    if (text !== seen) {
      seen = text
      nodes = found.nodes.sort((a, b) => a.name.localeCompare(b.name))
      draw()
      sums.replaceChildren(figures(sumsOf(nodes)))
      list.replaceChildren(tableOf('Machines', ['name', 'roles', 'model', 'load', 'memory', 'state'], nodes.map(rowOf)))
    }
    await pause(everyMs, signal)
  }
}

function sumsOf(nodes) {
  const machines = nodes.flatMap(({ hardware }) => (hardware ? [hardware] : []))
  const total = (of) => machines.reduce((sum, one) => sum + of(one), 0)
  return {
    machines: nodes.length,
    models: new Set(nodes.flatMap(({ model }) => (model ? [model] : []))).size,
    sandboxes: nodes.filter(({ sandbox }) => sandbox).length,
    threads: total(({ threads }) => threads),
    memory: gigabytes(total(({ memoryTotal }) => memoryTotal)),
    accelerators: total(({ accelerators }) => accelerators.length),
  }
}

function detailsOf(node) {
  if (!node) return [h('p', { class: 'soft' }, 'Nobody is here.')]
  const { name, roles, model, zone, draining, sandbox, since, hardware, load, slots, tokensPerSecond, notes } = node
  return [
    h('h3', {}, name, draining ? h('span', { class: 'bad' }, ' draining') : null),
    terms({
      roles: roles.join(', '),
      model: model && `${model} (${zone === 'mesh' ? 'in the mesh' : 'elsewhere'})`,
      speed: tokensPerSecond && `${Math.round(tokensPerSecond)} tokens a second, ${slots} side by side`,
      actions: sandbox ? 'held in a sandbox' : null,
      machine: hardware && [`${hardware.threads} threads`, gigabytes(hardware.memoryTotal)].join(', '),
      accelerators: hardware?.accelerators.join(', '),
      load: load && meter(load.cpu, loadOf(load)),
      memory: hardware && memoryOf(node),
      since: since && at(since),
      notes: notes.join('; '),
    }),
  ]
}

/** The load average of the machine, for each of its threads: 1 is busy, more is waiting. */
const loadOf = ({ cpu }) => `${cpu.toFixed(1)} a thread`

const rowOf = (node) => [
  h('strong', {}, node.name),
  node.roles.join(', '),
  node.model ?? '',
  node.load ? meter(node.load.cpu, loadOf(node.load)) : '',
  node.hardware ? memoryOf(node) : '',
  node.draining ? h('span', { class: 'bad' }, 'draining') : h('span', { class: 'good' }, 'here'),
]

function memoryOf({ hardware, load }) {
  const free = load?.memoryFree ?? hardware.memoryFree
  if (free === null) return gigabytes(hardware.memoryTotal)
  const used = hardware.memoryTotal - free
  return meter(used / hardware.memoryTotal, `${gigabytes(used)} of ${gigabytes(hardware.memoryTotal)}`)
}

const meter = (share, text) =>
  h(
    'span',
    { class: 'meter' },
    h('meter', { min: 0, max: 1, high: 0.9, value: Math.min(1, share), 'aria-label': text }),
    text,
  )
