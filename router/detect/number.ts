/** Numbers that carry their own proof: cards, bank accounts, identities. */
import { getCountrySpecifications, ValidationErrorsIBAN, validateIBAN } from 'ibantools'
import { dots, type NumberRun } from '../view/facts.js'
import { type Found, numberMatches, type Reading } from './reading.js'

const cardGroups =
  /(?<![\dA-Za-z]|\d[.,-]|[A-Z]{2}\d\d ?)(?:\d{4}[ .+_/-]?\d{4}[ .+_/-]?\d{4}[ .+_/-]?\d{4}(?:[ .+_/-]?\d{3})?|3[47]\d{2}[ .+_/-]?\d{6}[ .+_/-]?\d{5}|3[068]\d{2}[ .+_/-]?\d{6}[ .+_/-]?\d{4}|\d{13,19})(?![\dA-Za-z]|[.-]\d)/g

export const atLeastDigits =
  (least: number) =>
  ({ digits }: NumberRun): boolean =>
    digits >= least
const mayBeCard = atLeastDigits(13)

export function cards(reading: Reading): Found[] {
  const { lossy } = reading
  const found: Found[] = []
  for (const {
    index,
    match: [match],
  } of numberMatches(cardGroups, reading, mayBeCard)) {
    const digits = match.replace(/\D/g, '')
    const end = index + match.length
    if (!isIssued(digits) || !luhn(digits)) continue
    const isNamed = reading.near('card', index, end, 60, 30)
    const isGrouped = digits.length !== match.length
    const isOther = reading.near('notPhone', index, index, 32)
    // One number in ten passes the check when read backwards.
    const isMirrored = lossy && reading.stepsAt(index).includes('mirrored')
    if (isNamed || (!isMirrored && (isGrouped || (!isOther && digits.length >= 15)))) {
      found.push({ kind: 'card', start: index, end })
    }
  }
  return found
}

/** Prefix and length of a card network's range. */
function isIssued(digits: string): boolean {
  const { length } = digits
  const six = Number(digits.slice(0, 6))
  if (digits[0] === '4') return length === 13 || length === 16 || length === 19
  if ((six >= 510000 && six <= 559999) || (six >= 222100 && six <= 272099)) return length === 16
  if (/^3[47]/.test(digits)) return length === 15
  if (/^3(?:0[0-5]|[689])/.test(digits)) return length >= 14 && length <= 19
  if (/^35(?:2[89]|[3-8])/.test(digits)) return length >= 16
  if (/^(?:6011|64[4-9]|65|62|5[06-8]|6[0379])/.test(digits))
    return length >= 16 || (/^(?:5[06-8]|6[0379])/.test(digits) && length >= 13)
  return false
}

export function luhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48
    const twice = digit * 2
    sum += at % 2 === 0 ? digit : twice > 9 ? twice - 9 : twice
  }
  return sum % 10 === 0
}

const ibanLengths = new Map(
  Object.entries(getCountrySpecifications()).flatMap(([country, { chars }]) =>
    chars === undefined || chars === null ? [] : [[country, chars] as const],
  ),
)
const ibanRest = /(?:[ \t.,+_/'-]{0,2}[A-Za-z0-9]){11,32}/y

export function ibans({ text, facts }: Reading): Found[] {
  const found: Found[] = []
  for (const index of facts.digitRuns) {
    const place = ibanAt(text, index)
    if (place) found.push({ kind: 'iban', ...place })
  }
  return found
}

/** By two letters, in either case: 32 for each of the first. */
const countries = new Uint8Array(1024)
for (const country of ibanLengths.keys()) countries[placeOf(country.charCodeAt(0), country.charCodeAt(1))] = 1

function placeOf(first: number, second: number): number {
  return ((first & 31) << 5) | (second & 31)
}

/** Do accounts of some country begin with these two letters, given by their codes? */
export const isCountry = (first: number, second: number): boolean =>
  first > 64 && second > 64 && first < 123 && second < 123 && countries[placeOf(first, second)] === 1

/** Is there an account whose check digits stand there? */
export const isIbanAt = (text: string, index: number): boolean => ibanAt(text, index) !== undefined

/** The account whose check digits stand there, behind two letters and no more than a space. */
function ibanAt(text: string, index: number): { start: number; end: number } | undefined {
  const start = text.charCodeAt(index - 1) === 32 ? index - 3 : index - 2
  if (start < 0 || !isDigit(text.charCodeAt(index + 1)) || isAlphanumeric(text.charCodeAt(start - 1))) return undefined
  if (!isCountry(text.charCodeAt(start), text.charCodeAt(start + 1))) return undefined
  const length = ibanLengths.get(text.slice(start, start + 2).toUpperCase())
  if (length === undefined) return undefined
  ibanRest.lastIndex = index
  const match = ibanRest.exec(text)
  if (!match) return undefined
  const end = endOfCount(text, start, length)
  return end <= index + match[0].length && isIban(text.slice(start, end)) ? { start, end } : undefined
}

/** By length and checksum; the bank's own check of the account is no matter here. */
function isIban(spelled: string): boolean {
  if (!passesIbanCheck(spelled)) return false
  const { errorCodes } = validateIBAN(spelled.replace(/[^A-Za-z0-9]/g, '').toUpperCase())
  return errorCodes.every((code) => code === ValidationErrorsIBAN.WrongAccountBankBranchChecksum)
}

/** ISO 7064, MOD 97,10, over the letters and digits alone: of what only looks like one it lets one in 97 pass, and the library need not see the others. */
function passesIbanCheck(spelled: string): boolean {
  let rest = 0
  let head = 0
  let taken = 0
  const take = (sum: number, value: number): number => (value > 9 ? sum * 100 + value : sum * 10 + value) % 97
  for (let at = 0; at < spelled.length; at += 1) {
    const code = spelled.charCodeAt(at)
    const letter = code | 32
    const isLetter = letter >= 97 && letter <= 122
    if (!isLetter && (code < 48 || code > 57)) continue
    const value = isLetter ? letter - 87 : code - 48
    // Country and check digits count as if they stood at the end.
    if (taken < 4) head = head * 100 + value
    else rest = take(rest, value)
    taken += 1
  }
  for (let place = 1_000_000; place >= 1; place /= 100) rest = take(rest, Math.floor(head / place) % 100)
  return rest === 1
}

export const isDigit = (code: number): boolean => code >= 48 && code <= 57

export function isAlphanumeric(code: number): boolean {
  const letter = code | 32
  return (letter >= 97 && letter <= 122) || (code >= 48 && code <= 57)
}

/** Behind the given number of letters and digits. */
function endOfCount(text: string, start: number, count: number): number {
  let at = start
  for (let left = count; left > 0 && at < text.length; at += 1) if (isAlphanumeric(text.charCodeAt(at))) left -= 1
  return at
}

const socialSecurity = /(?<![A-Za-z\d.-])(\d{3})([- ._/+]?)(\d{2})\2(\d{4})(?![A-Za-z\d]|[.-]\d)/g
const taxId = /(?<![\w.-])\d{2}[ ./]?\d{3}[ ./]?\d{3}[ ./]?\d{3}(?![\w]|[.-]\d)/g
const pensionNumber = /(?<![\w.-])\d{2}[ ]?\d{6}[ ]?[A-Z][ ]?\d{3}(?![\w])/g
const swissNumber = /(?<![\w.-])756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}(?![\w])/g

const mayBeTaxId = atLeastDigits(11)

/** Nine digits in one, or three, two and four with a sign between, from either end. */
function mayBeSocialSecurity({ start, end, digits }: NumberRun, text: string): boolean {
  if (digits < 9) return false
  let [before, last] = [0, 0]
  for (let at = start; at < end; ) {
    let next = at
    while (next < end && isDigit(text.charCodeAt(next))) next += 1
    const size = next - at
    if (size === 9) return true
    if (last === 2 && ((before === 3 && size === 4) || (before === 4 && size === 3))) return true
    at = next
    while (at < end && !isDigit(text.charCodeAt(at))) at += 1
    ;[before, last] = at - next === 1 ? [last, size] : [0, 0]
  }
  return false
}

/** A cheap first look for isNumberOfPerson, from either end. */
export const mayBeNumberOfPerson = (run: NumberRun, text: string): boolean =>
  mayBeCard(run) || mayBeSocialSecurity(run, text)

/** Four groups with dots between. */
export const mayBeFourNumbers = ({ digits, signs }: NumberRun): boolean => digits >= 4 && (signs & dots) !== 0

/** Is there a number that is a card's or a person's by its digits alone, whatever stands beside it? */
export function isNumberOfPerson(text: string): boolean {
  for (const [match] of text.matchAll(cardGroups)) {
    const digits = match.replace(/\D/g, '')
    if (isIssued(digits) && luhn(digits)) return true
  }
  return text.search(socialSecurity) >= 0 || text.search(swissNumber) >= 0
}

/** Social security of the United States, Germany and Switzerland, and Germany's tax number for persons. */
export function nationalIds(reading: Reading): Found[] {
  const found: Found[] = []
  const put = (index: number, length: number) => found.push({ kind: 'national-id', start: index, end: index + length })
  const isNamed = (index: number, length: number) => reading.near('nationalId', index, index + length, 60, 24)
  for (const { index, match: parts } of numberMatches(socialSecurity, reading, mayBeSocialSecurity)) {
    const [match, area, separator, group, serial] = parts
    if (area === '000' || area === '666' || group === '00' || serial === '0000' || Number(area) >= 900) continue
    const named = isNamed(index, match.length)
    if (named || (separator === '-' && !reading.near('notPhone', index, index, 24))) put(index, match.length)
  }
  for (const { index, match } of numberMatches(swissNumber, reading, mayBeCard))
    if (isSwissNumber(match[0].replace(/\D/g, ''))) put(index, match[0].length)
  // The others prove too little to count without a word for them.
  if (reading.words('nationalId').length === 0) return found
  for (const { index, match } of numberMatches(taxId, reading, mayBeTaxId))
    if (isNamed(index, match[0].length) && isTaxId(match[0].replace(/\D/g, ''))) put(index, match[0].length)
  for (const { index, match } of numberMatches(pensionNumber, reading, mayBeTaxId))
    if (isNamed(index, match[0].length)) put(index, match[0].length)
  return found
}

/** ISO 7064, MOD 11,10. */
function isTaxId(digits: string): boolean {
  if (digits[0] === '0') return false
  let product = 10
  for (const digit of digits.slice(0, 10)) {
    const sum = (Number(digit) + product) % 10 || 10
    product = (sum * 2) % 11
  }
  return (11 - product) % 10 === Number(digits[10])
}

function isSwissNumber(digits: string): boolean {
  const sum = [...digits.slice(0, 12)].reduce((total, digit, at) => total + Number(digit) * (at % 2 === 0 ? 1 : 3), 0)
  return (10 - (sum % 10)) % 10 === Number(digits[12])
}
