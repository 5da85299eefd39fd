/** What a set of votes comes to. Pure. */

export interface Vote {
  voter: string
  answer: string
  /** 0 to 1, as the voter says. */
  confidence: number
  reason: string
}

export interface Tally {
  /** As the first voter for it wrote it; undefined without a vote, or where two are level. */
  answer: string | undefined
  /** Votes for it, and votes in all. */
  support: number
  votes: number
  /** What counts for it, heads or confidences, and what was counted in all. */
  weight: number
  total: number
}

/** Two answers are the same if this is: upper case, spaces, a full stop at the end, and how a number is written do not count. */
export function answerKey(answer: string): string {
  const plain = answer.trim().toLowerCase().replace(/\s+/g, ' ').replace(/\.$/, '')
  if (!/^[-+]?\d[\d,]*(\.\d+)?$/.test(plain)) return plain
  const [whole = '', fraction = ''] = plain.replaceAll(',', '').replace(/^\+/, '').split('.')
  const digits = fraction.replace(/0+$/, '')
  const number = `${whole.replace(/^(-?)0+(?=\d)/, '$1')}${digits === '' ? '' : `.${digits}`}`
  return number === '-0' ? '0' : number
}

export function tally(votes: readonly Vote[], weighted: boolean): Tally {
  const groups = new Map<string, { answer: string; support: number; weight: number }>()
  for (const { answer, confidence } of votes) {
    const key = answerKey(answer)
    const group = groups.get(key) ?? { answer, support: 0, weight: 0 }
    groups.set(key, {
      ...group,
      support: group.support + 1,
      weight: group.weight + (weighted ? clamp(confidence) : 1),
    })
  }
  const [best, next] = [...groups.values()].sort((a, b) => b.weight - a.weight || b.support - a.support)
  const isAhead = best !== undefined && best.weight - (next?.weight ?? 0) > level
  return {
    answer: isAhead ? best.answer : undefined,
    support: best?.support ?? 0,
    votes: votes.length,
    weight: best?.weight ?? 0,
    total: [...groups.values()].reduce((sum, { weight }) => sum + weight, 0),
  }
}

export const agree = (votes: readonly Vote[]): boolean =>
  new Set(votes.map(({ answer }) => answerKey(answer))).size === 1

/** Sums of confidences differ in their last digits by the order of adding alone. */
const level = 1e-9

const clamp = (confidence: number) => Math.min(1, Math.max(0, confidence))
