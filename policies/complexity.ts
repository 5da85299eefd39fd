/**
 * How hard a prompt looks, by what can be counted in it: nobody has read it. Pure.
 *
 *     const weight = weigh({ messages, tools: 2, maxTokens: 800 })         // { points: 3, characters: 1200, maxTokens: 800 }
 *     complexityOf(weight, { moderate: 2, hard: 5 })                      // 'moderate'
 *     inOrder(['mesh', 'cloud/small'], candidates)                       // those of the mesh first, then cloud/small, then the rest as they stood
 */
export const complexities = ['simple', 'moderate', 'hard'] as const
export type Complexity = (typeof complexities)[number]

/** From how many points on a prompt is moderate, and hard. */
export interface ComplexityLimits {
  readonly moderate: number
  readonly hard: number
}

export interface Weighed {
  readonly messages: readonly { readonly content: string }[]
  /** How many tools are offered. */
  readonly tools: number
  /** Of the answer, at most. */
  readonly maxTokens: number
}

/** What is counted of a question, and no word of it. */
export interface Weight {
  /** How hard it looks: two for each kind of demanding work, one for each 2,000 characters, for code, for a list of demands, for tools, and for a long talk. */
  readonly points: number
  /** Of all messages. */
  readonly characters: number
  /** Of the answer, at most. */
  readonly maxTokens: number
}

const charactersOfPoint = 2000
const mostForLength = 4
const mostForWords = 6
/** Work that takes several steps, English and German. */
const demanding =
  /\b(?:prove|derive|refactor|redesign|architecture|optimi[sz]e|analy[sz]e|evaluate|trade-?offs?|step by step|root cause|migrate|beweise?|herleiten|leite her|entwirf|architektur|optimiere|analysiere|bewerte|abw[aä]gen|schritt f[uü]r schritt|ursache|migriere)\b/gi
// White space of one line: `\s*` would go over every empty line again from each one before it, which takes seconds for a few thousand of them.
const listed = /^[^\S\n\r\u2028\u2029]*(?:\d+[.)]|[-*])\s/gm
const code = /```|^[^\S\n\r\u2028\u2029]*(?:import|def|class|function|const|SELECT)\b/m
/** Characters of what is asked that are looked at: how hard it is shows in its beginning, and nobody has us read for long. */
const charactersRead = 64 * 1024

export function weigh({ messages, tools, maxTokens }: Weighed): Weight {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0)
  const asked = messages.at(-1)?.content.slice(0, charactersRead) ?? ''
  const words = new Set([...asked.matchAll(demanding)].map(([word]) => word.toLowerCase()))
  const points =
    Math.min(mostForLength, Math.floor(characters / charactersOfPoint)) +
    Math.min(mostForWords, 2 * words.size) +
    (code.test(asked) ? 1 : 0) +
    ((asked.match(listed)?.length ?? 0) >= 3 ? 1 : 0) +
    (tools > 0 ? 1 : 0) +
    (messages.length > 6 ? 1 : 0)
  return { points, characters, maxTokens }
}

export function complexityOf({ points }: Pick<Weight, 'points'>, { moderate, hard }: ComplexityLimits): Complexity {
  return points >= hard ? 'hard' : points >= moderate ? 'moderate' : 'simple'
}

/** By a list of names, in which `mesh` stands for every model of the mesh; those that it does not name follow in their own order. */
export function inOrder<C extends { readonly model: string; readonly zone: 'mesh' | 'elsewhere' }>(
  order: readonly string[],
  candidates: readonly C[],
): C[] {
  const placeOf = ({ model, zone }: C): number => {
    const place = order.indexOf(zone === 'mesh' ? 'mesh' : model)
    return place < 0 ? order.length : place
  }
  return candidates.toSorted((a, b) => placeOf(a) - placeOf(b))
}
