/** Addresses of resources with places in them: `notes://day/{day}`; a place that begins with a plus, `{+path}`, may hold slashes. The two forms of RFC 6570 that MCP clients know. */
import { ClawmeshError } from '../../policies/errors.js'

const placeForm = /\{(\+?)([A-Za-z][A-Za-z0-9_]{0,31})\}/g

export const isTemplate = (uri: string): boolean => uri.includes('{')

export const placesOf = (template: string): string[] => [...template.matchAll(placeForm)].map(([, , name = '']) => name)

/** Throws USAGE for what is neither an address nor a template. */
export function checkUri(uri: string): void {
  const places = placesOf(uri)
  const plain = uri.replace(placeForm, 'x')
  const isApart = !/\}\{/.test(uri)
  // A scheme that could be any would take the addresses of other catalogs, and of the mesh.
  const hasScheme = /^[a-z][a-z0-9+.-]*:/i.test(uri)
  if (isApart && hasScheme && !/[{}\s]/.test(plain) && URL.canParse(plain) && new Set(places).size === places.length)
    return
  throw new ClawmeshError('USAGE', `"${uri}" is no address of a resource.`, {
    hint: 'Write one like notes://today or, with places, notes://day/{day}; {+path} may hold slashes.',
  })
}

/** What stands in the places of this address, decoded; undefined for one that does not fit. A place ends where the text behind it is first found, the last one where it is last found. */
export function matchTemplate(template: string, uri: string): Record<string, string> | undefined {
  const values: Record<string, string> = {}
  const places = [...template.matchAll(placeForm)]
  let at = 0
  let told = 0
  for (const [index, place] of places.entries()) {
    const [whole, plus, name = ''] = place
    const before = template.slice(told, place.index)
    if (!uri.startsWith(before, at)) return undefined
    at += before.length
    told = place.index + whole.length
    const isLast = index === places.length - 1
    const behind = template.slice(told, isLast ? undefined : places[index + 1]?.index)
    const end = isLast ? uri.length - behind.length : uri.indexOf(behind, at + 1)
    const value = uri.slice(at, Math.max(at, end))
    if (value === '' || (plus === '' && /[/?#]/.test(value))) return undefined
    const plain = decoded(value)
    if (plain === undefined) return undefined
    values[name] = plain
    at = end
  }
  return uri.slice(at) === template.slice(told) ? values : undefined
}

export const fillTemplate = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replace(placeForm, (_, plus: string, name: string) => {
    const value = values[name] ?? ''
    return plus === '' ? encodeURIComponent(value) : value.split('/').map(encodeURIComponent).join('/')
  })

function decoded(value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}
