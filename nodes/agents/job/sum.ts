/**
 * Whether a call of the calculator says the sum that a person wrote. A small model now and then changes a number or a sign, and what comes out looks as good as the right answer. Looked at is
 * what can be compared: every number in digits, and every sign between two of them. What is said in words ("half of", "twelve") is not.
 */
import type { ToolCall } from '../../../inference/tool.js'
import { ClawmeshError } from '../../../policies/errors.js'

const signs: Readonly<Record<string, string>> = {
  '×': '*',
  x: '*',
  '·': '*',
  '÷': '/',
  ':': '/',
  '−': '-',
  '–': '-',
  '**': '^',
}

/** Throws MODEL_FAILED, with `unusable` in its data, for a sum that lacks something of the request. */
export function checkSum(request: string, { name, arguments: { expression } }: ToolCall): void {
  if (name !== 'calculate' || typeof expression !== 'string') return
  const missing = missingOf(request, expression)
  if (missing === undefined) return
  throw new ClawmeshError('MODEL_FAILED', `The model made "${expression}" of the sum, without ${missing}.`, {
    hint: 'Write one sum with + - * / and brackets, each in a sentence of its own.',
    data: { unusable: true },
  })
}

/** What stands in the request and not in the expression; undefined if all does. A sum that is the only one, and written whole, is to be the same. */
export function missingOf(request: string, expression: string): string | undefined {
  const [written, made] = [plain(request), plain(expression)]
  const missing = lacking(numbersOf(written), numbersOf(made)) ?? lacking(signsOf(written), signsOf(made))
  if (missing !== undefined) return missing
  const [whole, ...others] = [...written.matchAll(wholeSum)].map(([sum]) => sum)
  const isAll = whole !== undefined && others.length === 0 && askedPlainly.test(written.replace(whole, ''))
  return isAll && bare(whole) !== bare(made) ? `the order of ${whole.trim()}` : undefined
}

const sign = '[-+*/^×x·÷−–]|\\*\\*'
const number = '[-−+(\\s]*\\d+(?:\\.\\d+)?[)\\s]*'
const wholeSum = new RegExp(`${number}(?:(?:${sign})${number})+(?![\\w%])`, 'g')

/** What may stand beside a sum without saying anything of it. */
const askedPlainly =
  /^(?:what(?:['’]?s| is| are)|how much (?:is|are)|calculate|compute|evaluate|work out|solve|please|tell me|the|value|result|of|[\s?.!,:=])*$/i

/** Without spaces, and brackets around all of it. */
function bare(sum: string): string {
  const text = sum.replaceAll(/\s/g, '').replaceAll(/\*\*|[×x·÷−–]/g, (found) => signs[found] ?? found)
  return /^\([^()]*\)$/.test(text) ? text.slice(1, -1) : text
}

/** 1,250,000 is one number. */
const plain = (text: string) => text.replaceAll(/(?<=\d),(?=\d{3}(?!\d))/g, '')

const numbersOf = (text: string): string[] =>
  [...text.matchAll(/(?<![\w.])\d+(?:\.\d+)?(?!\w)/g)].map(([number]) => String(Number(number)))

/** Those between two numbers, brackets aside. */
const signsOf = (text: string): string[] =>
  [...text.matchAll(/(?<=\d\s*\)?\s*)(?:\*\*|[-+*/^×x·÷:−–])(?=\s*\(?\s*[-−]?\d)/g)].map(
    ([sign]) => signs[sign] ?? sign,
  )

function lacking(wanted: readonly string[], had: readonly string[]): string | undefined {
  const left = [...had]
  return wanted.find((one) => {
    const at = left.indexOf(one)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
