/**
 * Splits a request into parts that one worker can do with one tool. Pure, and deliberately simple: the model that ships cannot plan. A sentence that speaks
 * of all files, or lists some, is put to each of them; every other sentence is one part as it stands, or several where it asks several questions.
 */

import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'

/** In characters: what a worker takes in one sentence. */
export const longestPart = 400
/** The same, of one that lists files and becomes several parts. */
const longestSentence = 2000
const mostParts = 1000

const partSchema = z.object({
  words: z.string(),
  /** The file that it is about, for a part of a sentence about several. */
  file: z.string().optional(),
})
export type Part = z.output<typeof partSchema>

export const planSchema = z.object({
  /** Of the sentences about all files or a list of them, in order. */
  collective: z.array(partSchema),
  single: z.array(partSchema),
})
export type Plan = z.output<typeof planSchema>

/** How people say "all of them"; the name of one file takes its place. */
const everything =
  /\b(?:of|in|from|for) (?:this (?:quarter|month|year|folder|workspace)|(?:all|each|every|each of|all of)(?: the| these)? files?|the (?:whole )?(?:workspace|folder))\b/i

const sentence = /(?<=[.!?])\s+(?=\S)/
const asking = "(?:what(?:['’]s| is| are)|which|how (?:many|much|big|large|long))\\b"
const telling = '(?:(?:list|show)(?: me)?(?: all)?(?: the)? files|count the (?:lines|words|rows)|add up|sum up)\\b'
const next =
  '(?:sum|add|total|count|list|show|read|open|print|display|find|search|look|check|calculate|compute|work out|write|note|tell)\\b'
/**
 * Where a sentence asks something else. Few verbs, for most ("… and find …") may as well be what is searched for, but for those behind "then" or ", and"; and after a comma alone only
 * questions, behind another one: "of a.csv, what is …" is one.
 */
const nextQuestion = new RegExp(
  `(?:[,;]?\\s(?:and\\s+)?then\\s+(?:also\\s+)?(?=${next})|[,;]\\s*and\\s+(?=${next})|\\s(?:and|then|also)\\s+(?:(?:and|then|also)\\s+)*(?=${asking}|${telling})|[,;]\\s*(?<=${asking}[^,;]*[,;]\\s*)(?=${asking}))`,
  'gi',
)

/** A question that cannot stand alone: of what another one brings. */
const backwards = /^[^,;.?!]*\b(?:that|those|this|it)\b/i

/** What reads like the name of a file: it ends like one. */
const fileName = /(?<![\w./-])[\w./-]*[\w-]\.[a-z]\w{0,4}(?![\w/])/gi
/** Is text and no name. */
const quotation = /"[^"]*"|`[^`]*`|(?<!\w)'[^']*'(?!\w)/g
const abbreviations = new Set(['e.g', 'i.e'])

/** "both a.txt, b.txt and in c.txt": a list of names that one name can stand for. */
const between = '(?:\\s*,\\s*(?:and\\s+)?|\\s+and\\s+|\\s*&\\s*)(?:(?:in|of|from|for)\\s+)?'

/** Throws USAGE for a request that says nothing to do, or too much at once. `files` are those of the workspace. */
export function planRequest(request: string, files: () => string[]): Plan {
  const odd = listed(files).filter((file) => spoken(file) !== file)
  const sentences = quoteNames(request, odd)
    .split(sentence)
    .map((words) => words.trim())
    .filter((words) => words !== '')
  if (sentences.length > mostParts) throw tooMuch()
  for (const words of sentences) checkLength(words, longestSentence)
  const parts = sentences
    .flatMap(questionsOf)
    .flatMap(countsOf)
    .flatMap((words) => partsOf(words, files, odd))
  check(parts)
  return {
    collective: parts.filter(({ file }) => file !== undefined),
    single: parts.filter(({ file }) => file === undefined),
  }
}

/** A name that does not read as one word is put in quotation marks that it does not hold itself. */
function spoken(file: string): string {
  if (/^[\w./-]+$/.test(file)) return file
  const mark = ['"', '`', "'"].find((candidate) => !file.includes(candidate)) ?? '"'
  return `${mark}${file}${mark}`
}

/** Names of the workspace with spaces and the like, said without quotation marks: they get them, the longest first. */
function quoteNames(request: string, odd: readonly string[]): string {
  return odd
    .filter((file) => request.includes(file))
    .sort((a, b) => b.length - a.length)
    .reduce((text, file) => (text.includes(spoken(file)) ? text : text.replace(file, () => spoken(file))), request)
}

/** What a question says nothing about, neither a file nor a number, is asked of the file of the one before it. */
function questionsOf(words: string): string[] {
  const unquoted = words.replace(quotation, (text) => '.'.repeat(text.length))
  const questions: string[] = []
  let from = 0
  const joints = [...unquoted.matchAll(nextQuestion)].filter(
    ({ index, 0: joint }) => !backwards.test(words.slice(index + joint.length)) || namesIn(words.slice(0, index))[0],
  )
  for (const { index, 0: joint } of [...joints, { index: words.length, 0: '' }]) {
    const question = words.slice(from, index).trimEnd().replace(/[,;]$/, '')
    const [file, ...others] = namesIn(questions.at(-1) ?? '')
    const isOfBefore =
      file !== undefined && others.length === 0 && !/\d|["`']|\bfiles?\b/i.test(question) && !namesIn(question)[0]
    questions.push(isOfBefore ? `${question.replace(/\?$/, '')} in ${file}` : question)
    from = index + joint.length
  }
  return questions
}

/** "lines and words": two counts in one question. */
const twoCounts = /\b(lines|words)(?:\s*,)?(?:\s+and|\s*&)\s+(?:the\s+)?(lines|words)\b/i
const counting = /^(?:\S+\s+)?(?:how many|count|(?:what is )?the number of)\b/i

function countsOf(words: string): string[] {
  const both = counting.test(words) ? twoCounts.exec(words.replace(quotation, (text) => '.'.repeat(text.length))) : null
  const [all = '', first = '', second = ''] = both ?? []
  if (!both || first.toLowerCase() === second.toLowerCase()) return [words]
  const of = (what: string) => `${words.slice(0, both.index)}${what}${words.slice(both.index + all.length)}`
  return [of(first), of(second)]
}

/** A workspace that is too large to be listed can still be asked about one file. */
export function listed(files: () => string[]): string[] {
  try {
    return files()
  } catch {
    return []
  }
}

/** A tool takes one file. A sentence about several is put to each of them; one that relates them to one another cannot be done. */
function partsOf(words: string, files: () => string[], odd: readonly string[]): Part[] {
  const isOfAll = everything.test(words)
  const names = [...namesIn(words), ...odd.map(spoken).filter((name) => words.includes(name))].sort(
    (a, b) => words.indexOf(a) - words.indexOf(b),
  )
  if (isOfAll && names.length === 0)
    return files().map((file) => ({ file, words: words.replace(everything, () => `in ${spoken(file)}`) }))
  if (!isOfAll && names.length < 2) return [{ words }]
  const list = isOfAll ? null : listOf(names).exec(words)
  if (list) {
    const [before, after] = [words.slice(0, list.index), words.slice(list.index + list[0].length)]
    const fileOf = (name: string) => odd.find((file) => spoken(file) === name) ?? name
    return names.map((name) => ({ file: fileOf(name), words: `${before}${name}${after}` }))
  }
  throw new ClawmeshError(
    'USAGE',
    `One sentence is about more than a tool can take: ${[...names, ...(isOfAll ? ['all files'] : [])].join(', ')}.`,
    { hint: 'Name one file in each sentence, or list them: how many lines have a.txt and b.txt' },
  )
}

const namesIn = (words: string): string[] => [
  ...new Set(
    [...words.replace(quotation, '').matchAll(fileName)]
      .map(([name]) => name)
      .filter((name) => !abbreviations.has(name.toLowerCase())),
  ),
]

const listOf = (names: string[]): RegExp =>
  new RegExp(`(?:both\\s+)?${names.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join(between)}`)

function check(parts: Part[]): void {
  if (parts.length === 0) {
    throw new ClawmeshError('USAGE', 'The request says nothing that could be done.', {
      hint: 'Say what to do, for example: how many lines has notes.txt',
    })
  }
  if (parts.length > mostParts) throw tooMuch()
  for (const { words } of parts) {
    checkLength(words, longestPart)
    const rest = /\band then\b(.*)/is.exec(words.replace(quotation, ''))?.[1]
    if (rest !== undefined && !backwards.test(rest.trim()))
      throw new ClawmeshError('USAGE', `Of "${words}" only a part would be done: a tool does one thing.`, {
        hint: 'Say each thing in a sentence of its own: Count the lines of a.txt. Count the words of a.txt.',
      })
  }
}

function checkLength({ length }: string, most: number): void {
  if (length <= most) return
  throw new ClawmeshError(
    'USAGE',
    `A sentence of the request is too long: with its file name it has ${length} characters, at most ${most} are taken.`,
    { hint: 'Say it in several shorter sentences.' },
  )
}

const tooMuch = () =>
  new ClawmeshError('USAGE', `The request asks for more than ${mostParts} things at once.`, {
    hint: 'Ask for them one after the other, or name a smaller folder.',
  })
