/**
 * Splits a request into parts that one worker can do with one tool. Pure, and deliberately simple: the model that ships cannot plan. A sentence that speaks
 * of all files is put to each of them; every other sentence is one part as it stands.
 */

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

export function planRequest(request: string, files: string[]): Plan {
  const sentences = request
    .split(sentence)
    .map((words) => words.trim())
    .filter((words) => words !== '')
  const collective = sentences.filter((words) => everything.test(words))
  return {
    collective: collective.flatMap((words) =>
      files.map((file) => ({ file, words: words.replace(everything, `in ${file}`) })),
    ),
    single: sentences.filter((words) => !everything.test(words)).map((words) => ({ words })),
  }
}
