import { type Found, firstAtLeast, matches, type Reading } from './reading.js'

const code = /(?<![\w.-])[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?[GVAZ]?(?![\w-]|\.\d)/g
const recordNumber =
  /[\w.-]{0,24}?[ \t]{0,3}(?:(?:number|no|nr|nummer|id)\.?)?["'\]]{0,2}[ \t]{0,3}(?:[:=#,]|is|ist|lautet)?[ \t]{0,3}["'#]{0,2}([A-Z]{0,4}[- ]?\d[\d -]{3,14}\d)(?!\w)/iy
const recordWithin = 64
const careWithin = 160

/** Codes of diagnoses, numbers of patients, and what is said of somebody's illness or medicine. */
export function health(reading: Reading): Found[] {
  const { text, lossy } = reading
  if (lossy) return []
  return [...codes(reading), ...records(text, reading), ...conditions(reading)]
}

function codes(reading: Reading): Found[] {
  if (!reading.hasDigits || reading.words('healthCode').length === 0) return []
  const found: Found[] = []
  for (const { index, 0: match } of matches(code, reading.text)) {
    if (!reading.near('healthCode', index, index + match.length, 72, 40)) continue
    found.push({ kind: 'health-code', start: index, end: index + match.length })
  }
  return found
}

function records(text: string, reading: Reading): Found[] {
  const found: Found[] = []
  for (const start of reading.words('healthRecord')) {
    const window = text.slice(start, start + recordWithin)
    recordNumber.lastIndex = 0
    const match = recordNumber.exec(window)
    const number = match?.[1]
    if (number === undefined || !match) continue
    const from = start + match[0].length - number.length
    found.push({ kind: 'health-record', start: from, end: from + number.length })
  }
  return found
}

/** An illness or a medicine with somebody or some care close to it. Two illnesses or medicines together are about somebody too. */
function conditions(reading: Reading): Found[] {
  const named = [...reading.words('condition'), ...reading.words('drug')].sort((a, b) => a - b)
  const care = reading.words('care')
  const found: Found[] = []
  for (const start of named) {
    const first = firstAtLeast(care, start - careWithin)
    const last = firstAtLeast(care, start + careWithin)
    if (last === first) continue
    found.push({ kind: 'health-context', start, end: endOfWord(reading.text, start) })
  }
  return found
}

function endOfWord(text: string, start: number): number {
  let end = start
  while (end < text.length && /[A-Za-z0-9-]/.test(text[end] ?? ' ')) end += 1
  return end
}
