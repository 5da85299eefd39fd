import { type Found, firstAtLeast, matches, type Reading } from './reading.js'

const number = /\d(?<![\w.,]\d)(?:\d|[.,' ](?=\d)){0,20}/g
const currencyBefore = /(?:[$€£]|EUR|USD|CHF|GBP) ?[-(]?$/
const currencyAfter = /^\)? ?(?:[$€£]|EUR\b|USD\b|CHF\b|GBP\b|Euro\b)/

/** Where amounts of money begin: two decimals, or a currency beside it. */
function amountsIn(text: string): number[] {
  const found: number[] = []
  for (const { index, 0: match } of matches(number, text)) {
    const end = index + match.length
    if (
      /[.,]\d\d$/.test(match) ||
      currencyBefore.test(text.slice(Math.max(0, index - 6), index)) ||
      currencyAfter.test(text.slice(end, end + 6))
    )
      found.push(index)
  }
  return found
}

const accountNumber =
  /[\w.() -]{2,32}?["'\]]{0,2}[ \t]{0,3}(?:[:=#,]|is|ist|lautet)?[ \t]{0,3}["'#]{0,2}((?:\d[ -]?){5,17}\d|[A-Z]{4}(?:DE|AT|CH|GB|US|FR|NL|ES|IT|BE)[A-Z0-9]{2}(?:[A-Z0-9]{3})?)(?!\w)/iy
const accountWithin = 56
const window = 400
const tableRows = 3

/** Account numbers, statements, and tables of dates and amounts. */
export function finance(reading: Reading): Found[] {
  const { text, lossy } = reading
  if (lossy || !reading.hasDigits) return []
  const words = { strong: reading.words('moneyStrong'), weak: reading.words('money') }
  const isAboutMoney = words.strong.length > 0 || words.weak.length >= 2
  const amounts = isAboutMoney ? amountsIn(text) : []
  return [...accounts(text, reading), ...statements(text, words, amounts), ...ledgers(text, words, amounts)]
}

function accounts(text: string, reading: Reading): Found[] {
  const found: Found[] = []
  for (const start of reading.words('accountNumber')) {
    accountNumber.lastIndex = 0
    const match = accountNumber.exec(text.slice(start, start + accountWithin))
    const number = match?.[1]
    if (number === undefined || !match) continue
    const from = start + match[0].length - number.length
    found.push({ kind: 'account', start: from, end: from + number.length })
  }
  return found
}

interface Words {
  readonly strong: readonly number[]
  readonly weak: readonly number[]
}

const within = (sorted: readonly number[], from: number, to: number): number =>
  firstAtLeast(sorted, to) - firstAtLeast(sorted, from)

/** A word that belongs to statements alone with an amount near it, or several that belong to money with several amounts. */
function statements(text: string, { strong, weak }: Words, amounts: readonly number[]): Found[] {
  const found: Found[] = []
  let done = 0
  for (const at of strong) {
    if (at < done || within(amounts, at - window, at + window) === 0) continue
    found.push({ kind: 'statement', start: at, end: endOfLine(text, at) })
    done = at + window
  }
  for (const at of weak) {
    if (at < done || within(amounts, at, at + window) < 3 || within(weak, at, at + window) < 4) continue
    found.push({ kind: 'statement', start: at, end: endOfLine(text, at) })
    done = at + window
  }
  return found
}

const dateFirst = /^[ \t|;,"]{0,4}(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./](?:\d{2,4})?)\b/

/** Lines that begin with a date and hold an amount, three together. */
function ledgers(text: string, { strong, weak }: Words, amounts: readonly number[]): Found[] {
  if (strong.length + weak.length === 0 || amounts.length < tableRows) return []
  const found: Found[] = []
  let rows = 0
  let first = 0
  for (let start = 0; start < text.length; ) {
    const end = endOfLine(text, start)
    const isRow = within(amounts, start, end) > 0 && dateFirst.test(text.slice(start, start + 24))
    if (isRow && rows === 0) first = start
    rows = isRow ? rows + 1 : 0
    if (rows === tableRows) found.push({ kind: 'ledger', start: first, end })
    start = end + 1
  }
  return found
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}
