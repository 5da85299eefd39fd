/** Elements of the page. Text goes in as text, so nothing that the mesh says can become markup. */

/** `h('button', { type: 'button', onclick }, 'Allow')` */
export const h = (tag, properties, ...children) => make(document.createElement(tag), properties, children)

/** The same in a drawing. */
export const s = (tag, properties, ...children) =>
  make(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children)

function make(element, properties = {}, children = []) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, String(value))
  }
  element.append(...children.flat(2).flatMap((child) => (child === null || child === undefined ? [] : [shown(child)])))
  return element
}

/** What turns writing around, is not seen at all, or moves what follows: as at the terminal, a path that holds it must not read as another one. */
const unprintable = /(?!\n|\t|\ufe0e|\ufe0f)[\p{Cc}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu

const shown = (child) =>
  child instanceof Node
    ? child
    : String(child).replace(unprintable, (character) => `\\u{${character.codePointAt(0).toString(16)}}`)

/** Terms and what they are; those without a value are left out. */
export const terms = (entries) =>
  h(
    'dl',
    {},
    Object.entries(entries).flatMap(([term, value]) =>
      value === null || value === undefined || value === '' ? [] : [h('dt', {}, term), h('dd', {}, value)],
    ),
  )

export const at = (time) => {
  const date = new Date(time)
  return h('time', { datetime: date.toISOString() }, date.toLocaleString())
}

export function say(text) {
  document.getElementById('status').textContent = shown(text)
}

/** Rows under a head; a cell may be an element. `label` says what the table is of. */
export const tableOf = (label, head, rows) =>
  h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          head.map((name) => h('th', { scope: 'col' }, name)),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map((row) =>
          h(
            'tr',
            {},
            row.map((cell) => h('td', {}, cell)),
          ),
        ),
      ),
    ),
  )

/** A few figures, each with its name. */
export const figures = (entries) =>
  h(
    'dl',
    { class: 'figures' },
    Object.entries(entries).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
  )

export const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
