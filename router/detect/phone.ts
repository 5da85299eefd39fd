import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js'
import { atLeastDigits } from './number.js'
import { type Found, numberMatches, type Reading } from './reading.js'

const candidate =
  /(?<![\w.@#$€£%/-]|\d[ ,:])(?:(?:\+|00 ?)[1-9]|\(\+?\d|0\d|\d)(?:[ ./()-]{0,3}\d){5,14}(?![\w@%€$]|[.,:/-]\d| ?(?:EUR|USD|mg|kg|GB|MB|ms)\b)/g

/** The library takes about 20 µs for a number. A text with more numbers than this is taken at the pattern's word. */
const mostChecks = 2000

/** Telephone numbers: international ones anywhere, national ones of the regions, in their order. */
export function phones(reading: Reading, regions: readonly string[]): Found[] {
  if (reading.lossy) return []
  const found: Found[] = []
  let checks = 0
  for (const {
    index,
    match: [match],
  } of numberMatches(candidate, reading, mayBePhone)) {
    const end = index + match.length
    if (dated.test(match)) continue
    const isInternational = /^(?:\(?\+|00)/.test(match)
    if (!isInternational && !isLikely(reading, match, index)) continue
    checks += 1
    const valid = checks > mostChecks || isValid(match, isInternational, regions)
    if (valid) found.push({ kind: 'phone', start: index, end })
  }
  return found
}

const mayBePhone = atLeastDigits(6)

/** A date, a span of years, a social security number. */
const dated = /^(?:\d{3}-\d{2}-\d{4}$|\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|\d{4} ?- ?\d{4}$)/

/** Is a national number a telephone number by its looks and its neighbours? */
function isLikely(reading: Reading, match: string, index: number): boolean {
  if (!isClosed(match)) return false
  if (reading.near('phone', index, index, 48)) return true
  if (reading.near('notPhone', index, index, 28) || reading.near('nationalId', index, index, 40)) return false
  if (/^\(\d{3}\) ?\d{3}[ .-]\d{4}$|^\d{3}([ .-])\d{3}\1\d{4}$/.test(match)) return true
  // Mobile numbers are often written in one.
  if (/^01[567]\d{8,9}$|^07[3-9]\d{8}$/.test(match)) return true
  return /^\(?0\d/.test(match) && /[ /()-]/.test(match.trim()) && match.replace(/\D/g, '').length >= 8
}

const isClosed = (match: string): boolean => match.split('(').length === match.split(')').length

function isValid(match: string, isInternational: boolean, regions: readonly string[]): boolean {
  // The library reads digits alone twice as fast, and need not look for where a number begins.
  const digits = match.replace('(0)', '').replace(/\D/g, '')
  if (isInternational) {
    const number = parsePhoneNumberFromString(`+${digits.replace(/^00/, '')}`, { extract: false })
    return number?.isPossible() === true
  }
  return regions.some(
    (region) =>
      parsePhoneNumberFromString(digits, { defaultCountry: region as CountryCode, extract: false })?.isValid() === true,
  )
}
