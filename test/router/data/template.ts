/** Texts from templates: `Bitte an {email} bis {date}.` Every value's place is known, so that what is found can be counted. */
import { Values } from './values.js'

export interface Marked {
  readonly kind: string
  readonly start: number
  readonly end: number
}

export interface Sample {
  readonly text: string
  readonly marked: readonly Marked[]
}

/** What a value is called in findings; decoys are of no kind. */
const kindOf: Record<string, string> = {
  email: 'email',
  url: 'url',
  iban: 'iban',
  card: 'card',
  ssn: 'national-id',
  ssnPlain: 'national-id',
  ip: 'ip',
  phone: 'phone',
  date: 'date',
}

export function fill(template: string, values: Values): Sample {
  const marked: Marked[] = []
  let text = ''
  for (const [index, part] of template.split(/\{(\w+)\}/).entries()) {
    if (index % 2 === 0) {
      text += part
      continue
    }
    const value = values.make(part)
    const kind = kindOf[part]
    if (kind !== undefined) marked.push({ kind, start: text.length, end: text.length + value.length })
    text += value
  }
  return { text, marked }
}

/** `each` samples of each template. */
export function samples(templates: readonly string[], each: number, seed: number): Sample[] {
  const values = new Values(seed)
  return templates.flatMap((template) => Array.from({ length: each }, () => fill(template, values)))
}
