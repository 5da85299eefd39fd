/** The map: the broker in the middle, around it who runs the mesh, then who serves models, then who works. */
import { h, s } from './element.js'

const labelledMost = 40
const onOneRing = 12
/** Room for the two lines below the lowest. */
const labels = 36
const rings = [
  { name: 'runs the mesh', kind: 'runs', is: ({ roles }) => roles.includes('authority') },
  { name: 'serves a model', kind: 'serves', is: ({ model }) => model !== null },
  { name: 'works', kind: 'works', is: () => true },
]

const ringOf = (node) => rings.findIndex(({ is }) => is(node))

/** Keeps the focus where it was. */
export function drawMap(place, nodes, chosen, choose) {
  const width = Math.max(300, place.clientWidth)
  const height = Math.min(560, Math.max(320, width * 0.62))
  const isFull = nodes.length <= labelledMost
  const all = rings.map((_, ring) => nodes.filter((node) => ringOf(node) === ring)).filter(({ length }) => length > 0)
  // A few have room on one ring.
  const groups = nodes.length > onOneRing ? all : [all.flat()]
  const size = isFull ? Math.max(11, Math.min(20, width / 32)) : 7
  const above = size + 14
  const [cx, cy] = [width / 2, (above + height - size - labels) / 2]
  const spots = groups.flatMap((group, ring) =>
    spotsOf(group, ring, groups.length, { cx, cy, rx: cx - size - 44, ry: cy - above }),
  )
  const hadFocus = place.contains(document.activeElement)
  const names = spots.map(({ node }) => node.name)
  const move = ({ key }) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key]
    if (step) choose(names[(names.indexOf(chosen) + step + names.length) % names.length])
  }
  place.replaceChildren(
    s(
      'svg',
      { viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': 'Map of the mesh', onkeydown: move },
      spots.map(({ x, y, node }) =>
        s('line', { class: node.draining ? 'way out' : 'way', x1: cx, y1: cy, x2: x, y2: y }),
      ),
      s('circle', { class: 'hub', cx, cy, r: size * 1.15 }),
      s('text', { class: 'hub-name', x: cx, y: cy + 4 }, 'broker'),
      spots.map((spot) => glyphOf(spot, { size, isFull, chosen, choose })),
    ),
    h(
      'ul',
      { class: 'legend' },
      rings.map(({ name, kind }) => h('li', { class: kind }, name)),
      h('li', { class: 'busy' }, 'ring: how busy'),
    ),
  )
  if (hadFocus) place.querySelector('[tabindex="0"]')?.focus()
}

/** On ellipses, each ring turned a little against the one inside it. */
function spotsOf(group, ring, count, { cx, cy, rx, ry }) {
  const share = (ring + 1) / count
  return group.map((node, index) => {
    const angle = ((index + (ring % 2) / 2) / group.length) * 2 * Math.PI - Math.PI / 2
    return {
      node,
      kind: rings[ringOf(node)].kind,
      x: cx + rx * share * Math.cos(angle),
      y: cy + ry * share * Math.sin(angle),
    }
  })
}

function glyphOf({ x, y, node, kind }, { size, isFull, chosen, choose }) {
  const { name, model, load, draining } = node
  const isChosen = name === chosen
  const around = 2 * Math.PI * (size + 3)
  const busy = Math.min(1, load?.cpu ?? 0) * around
  // What is written under it comes first, as it is read.
  const says = [
    [name, model].filter(Boolean).map(shortened).join(' '),
    kind,
    load ? `${Math.round(load.cpu * 100)} % busy` : '',
    draining ? 'draining' : '',
  ]
  return s(
    'g',
    {
      class: `node ${kind}${isChosen ? ' chosen' : ''}${draining ? ' out' : ''}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      role: 'button',
      tabindex: isChosen ? 0 : -1,
      'aria-pressed': String(isChosen),
      'aria-label': says.filter(Boolean).join(', '),
      onclick: () => choose(name),
    },
    s('title', {}, [name, model, ...says.slice(1)].filter(Boolean).join(', ')),
    s('circle', { class: 'body', r: size }),
    s('circle', { class: 'load', r: size + 3, 'stroke-dasharray': `${busy} ${around}`, transform: 'rotate(-90)' }),
    isFull ? s('text', { y: size + 17 }, shortened(name)) : null,
    isFull && model ? s('text', { class: 'model', y: size + 31 }, ` ${shortened(model)}`) : null,
  )
}

const shortened = (text) => (text.length > 18 ? `${text.slice(0, 17)}…` : text)
