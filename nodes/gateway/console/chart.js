/** Bars, drawn: each with its value in words, for those who do not see them. */
import { h, s } from './element.js'

/** `bars`: { label, value, text }; all of one unit. */
export function columns(caption, bars) {
  const [width, height, foot] = [720, 180, 22]
  const most = Math.max(...bars.map(({ value }) => value), 0) || 1
  const step = width / Math.max(1, bars.length)
  const shown = Math.ceil(bars.length / 6)
  return h(
    'figure',
    {},
    h('figcaption', {}, caption),
    s(
      'svg',
      {
        viewBox: `0 0 ${width} ${height + foot}`,
        role: 'img',
        'aria-label': `${caption}: ${bars.map(({ label, text }) => `${label} ${text}`).join('; ')}`,
      },
      [0, 0.5, 1].map((share) =>
        s('line', {
          class: 'grid',
          x1: 0,
          x2: width,
          y1: height - share * (height - 6),
          y2: height - share * (height - 6),
        }),
      ),
      bars.map(({ label, value, text }, index) => {
        const tall = Math.max(value > 0 ? 2 : 0, (value / most) * (height - 6))
        return s(
          'g',
          {},
          s('title', {}, `${label}: ${text}`),
          s('rect', {
            class: 'bar',
            x: index * step + step * 0.12,
            y: height - tall,
            width: Math.min(step * 0.76, 60),
            height: tall,
            rx: 2,
          }),
          index % shown === 0
            ? s('text', { class: 'tick', x: index * step + step * 0.12, y: height + 16 }, label)
            : null,
        )
      }),
    ),
  )
}

/** Lying bars, two of each name: what it was, and what it would have been. */
export function pairs(caption, rows, [one, other]) {
  const most = Math.max(...rows.flatMap(({ values }) => values), 0) || 1
  return h(
    'figure',
    {},
    h('figcaption', {}, caption),
    h('p', { class: 'legend' }, h('span', { class: 'serves' }, one), h('span', { class: 'works' }, other)),
    rows.map(({ name, values, texts }) =>
      h(
        'div',
        { class: 'pair' },
        h('span', {}, name),
        s(
          'svg',
          {
            viewBox: '0 0 300 26',
            preserveAspectRatio: 'none',
            role: 'img',
            'aria-label': `${name}: ${one} ${texts[0]}, ${other} ${texts[1]}`,
          },
          values.map((value, index) =>
            s('rect', {
              class: index === 0 ? 'bar' : 'bar other',
              x: 0,
              y: index * 14,
              height: 11,
              rx: 2,
              width: Math.max(value > 0 ? 1 : 0, (value / most) * 300),
            }),
          ),
        ),
        h('span', { class: 'soft' }, `${texts[0]} · ${texts[1]}`),
      ),
    ),
  )
}
