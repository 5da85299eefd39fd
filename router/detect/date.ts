import type { NumberRun } from '../view/facts.js'
import { isDigit } from './number.js'
import { type Found, numberMatches, type Reading } from './reading.js'

const names =
  'jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch|z)?|maerz|mrz|apr(?:il)?|may|mai|jun[ei]?|jul[yi]?|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?'
const numeric =
  /(?<![\w./-]|\d[,:])(?:(\d{4})([-./])(\d{1,2})\2(\d{1,2})|(\d{1,2})([-./])(\d{1,2})\6(\d{4}|\d{2})|(\d{1,2})\. ?(\d{1,2})\. ?(\d{4}))(?![\w-]|[./]\d)/g
const dayFirst = new RegExp(
  `(?<![\\w.])(\\d{1,2})(?:st|nd|rd|th|\\.)?[ -]{0,2}(?:of )?(?:${names})\\b\\.?,?[ -]{0,2}('?\\d{2}|\\d{4})(?!\\w)`,
  'iy',
)
const monthFirst = new RegExp(`(?:${names})\\b\\.? (\\d{1,2})(?:st|nd|rd|th)?,? (\\d{4})(?!\\w)`, 'iy')

/** Calendar dates; one that a word of birth stands close before is a date of birth. */
export function dates(reading: Reading): Found[] {
  const { text, facts, lossy } = reading
  if (lossy) return []
  const found: Found[] = []
  const put = (start: number, length: number) => {
    const isBirth = reading.near('birth', start, start, 48)
    found.push({ kind: isBirth ? 'birth-date' : 'date', start, end: start + length })
  }
  for (const { index, match: parts } of numberMatches(numeric, reading, mayBeDate)) {
    const match = parts[0]
    const [year, month, day] =
      parts[1] !== undefined
        ? [parts[1], parts[3], parts[4]]
        : parts[5] !== undefined
          ? [parts[8], parts[7], parts[5]]
          : [parts[11], parts[10], parts[9]]
    // Only slashes are written month first. A short year with a single digit before it is a version.
    const isEither = match.includes('/') && isDate(year, day, month)
    if (year?.length === 2 && !/^\d\d.\d\d./.test(match) && !match.includes('/')) continue
    if ((isDate(year, month, day) || isEither) && !reading.near('version', index, index, 16)) put(index, match.length)
  }
  const months = reading.words('month')
  if (months.length === 0) return found
  for (const start of facts.digitRuns) {
    if (!mayBeDay(text, start)) continue
    dayFirst.lastIndex = start
    const match = dayFirst.exec(text)
    if (match && isDay(match[1])) put(start, match[0].length)
  }
  for (const start of months) {
    monthFirst.lastIndex = start
    const match = monthFirst.exec(text)
    if (match && isDay(match[1])) put(start, match[0].length)
  }
  return found
}

/** Its parts are parted by dots, dashes or slashes. */
const mayBeDate = ({ digits, signs }: NumberRun): boolean => digits >= 4 && signs !== 0

const signAfterDay = new Set([...' .-'].map((sign) => sign.charCodeAt(0)))
/** Of months, of `st`, `nd`, `rd`, `th`, and of `of`. */
const letterAfterDay = new Set([...'jfmasondrt'].map((letter) => letter.charCodeAt(0)))

/** One digit or two, and behind a sign or three a letter that a month could begin with. */
function mayBeDay(text: string, start: number): boolean {
  let at = start + (isDigit(text.charCodeAt(start + 1)) ? 2 : 1)
  for (let left = 3; left > 0 && signAfterDay.has(text.charCodeAt(at)); left -= 1) at += 1
  return letterAfterDay.has(text.charCodeAt(at) | 32)
}

const isDay = (day: string | undefined): boolean => Number(day) >= 1 && Number(day) <= 31

function isDate(year: string | undefined, month: string | undefined, day: string | undefined): boolean {
  const y = Number(year)
  return isDay(day) && Number(month) >= 1 && Number(month) <= 12 && (year?.length === 2 || (y >= 1850 && y <= 2150))
}
