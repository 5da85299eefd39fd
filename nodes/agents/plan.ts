/**
 * Splits a request into parts that one worker can do with one tool. Pure, and deliberately simple: the model that ships cannot plan. A sentence that speaks
 * of all files is put to each of them; every other sentence is one part as it stands.
 */

import { ClawmeshError } from '../../policies/errors.js'

/** In characters: what a worker takes in one sentence. */
export const longestPart = 400

export interface Part {
  words: string
  /** The file that it is about, for a part of a sentence about all files. */
  file?: string
}

export interface Plan {
  /** Of the sentences about all files, in order. */
  collective: Part[]
  single: Part[]
}

/** How people say "all of them"; the name of one file takes its place. */
const everything =
  /\b(?:of|in|from|for) (?:this (?:quarter|month|year|folder|workspace)|(?:all|each|every|each of|all of)(?: the| these)? files?|the (?:whole )?(?:workspace|folder))\b/i

const sentence = /(?<=[.!?])\s+(?=\S)/

/** Throws USAGE for a request that says nothing to do, or too much at once. `files` is called only if the request speaks of all of them. */
export function planRequest(request: string, files: () => string[]): Plan {
  const sentences = request
    .split(sentence)
    .map((words) => words.trim())
    .filter((words) => words !== '')
  const collective = sentences.filter((words) => everything.test(words))
  const plan = {
    collective: collective.flatMap((words) =>
      files().map((file) => ({ file, words: words.replace(everything, () => `in ${file}`) })),
    ),
    single: sentences.filter((words) => !everything.test(words)).map((words) => ({ words })),
  }
  check(plan)
  return plan
}

function check({ collective, single }: Plan): void {
  const parts = [...collective, ...single]
  if (parts.length === 0) {
    throw new ClawmeshError('USAGE', 'The request says nothing that could be done.', {
      hint: 'Say what to do, for example: how many lines has notes.txt',
    })
  }
  const long = parts.find(({ words }) => words.length > longestPart)
  if (long) {
    throw new ClawmeshError(
      'USAGE',
      `A sentence of the request is too long: with its file name it has ${long.words.length} characters, at most ${longestPart} are taken.`,
      { hint: 'Say it in several shorter sentences.' },
    )
  }
}
