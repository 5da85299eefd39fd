/** Which texts a question is about, by the words that they share: a rare word says more than a common one, and a short text more than a long one (BM25). Pure. */

const saturation = 1.2
const lengthWeight = 0.75

/** What shares so much less with the question than the best does is not about it: the words that every sentence has. */
const leastOfBest = 0.25

/** The best first. Of equals the later comes first. */
export function rank<T extends { readonly text: string }>(question: string, texts: readonly T[]): T[] {
  const wanted = new Set(wordsOf(question))
  const documents = texts.map(({ text }) => wordsOf(text))
  const usual = documents.reduce((sum, { length }) => sum + length, 0) / Math.max(1, documents.length)
  const weights = new Map(
    [...wanted].map((word) => {
      const having = documents.filter((words) => words.includes(word)).length
      return [word, Math.log(1 + (documents.length - having + 0.5) / (having + 0.5))]
    }),
  )
  const score = (words: readonly string[]) =>
    [...weights].reduce((sum, [word, weight]) => {
      const times = words.filter((each) => each === word).length
      const length = 1 - lengthWeight + (lengthWeight * words.length) / Math.max(1, usual)
      return sum + (weight * times * (saturation + 1)) / (times + saturation * length)
    }, 0)
  const scored = texts.map((text, index) => ({ text, index, score: score(documents[index] ?? []) }))
  const best = Math.max(...scored.map(({ score }) => score))
  return scored
    .filter(({ score }) => score > 0 && score >= best * leastOfBest)
    .sort((a, b) => b.score - a.score || b.index - a.index)
    .map(({ text }) => text)
}

/** Letters and digits, without case and accents, and without the endings that plurals have. */
export function wordsOf(text: string): string[] {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  return (plain.match(/[\p{L}\p{N}]+/gu) ?? []).map((word) => (word.length > 3 ? word.replace(/(?<!s)s$/, '') : word))
}
