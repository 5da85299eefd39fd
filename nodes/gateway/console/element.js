/** Elements of the page. Text goes in as text, so nothing that the mesh says can become markup. */

/** `h('button', { type: 'button', onclick }, 'Allow')` */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, String(value))
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined))
  return element
}

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
  document.getElementById('status').textContent = text
}
