/** What one policy grants and another does not: by meaning, not by lines. Pure. */
import type { Limits, Profile } from './profile.js'

export interface Change {
  /** "read", "write", "ask write", "limits.wallMs". */
  readonly field: string
  /** Null: nothing was there, or is. */
  readonly before: string | null
  readonly after: string | null
  /** Whether an action may do more than before. */
  readonly looser: boolean
}

/** Looser ones first. Empty where the two mean the same. */
export function differences(before: Profile, after: Profile): Change[] {
  const lists = [
    ['read', before.read, after.read],
    ['write', before.write, after.write],
    ['ask', before.ask.map(accessLine), after.ask.map(accessLine)],
  ] as const
  const changes = lists.flatMap(([field, was, is]) => [
    ...is.filter((path) => !was.includes(path)).map((path) => added(field, path, after)),
    ...was.filter((path) => !is.includes(path)).map((path) => taken(field, path, before)),
  ])
  for (const name of Object.keys(after.limits) as (keyof Limits)[]) {
    const [was, is] = [before.limits[name], after.limits[name]]
    if (was !== is) changes.push({ field: `limits.${name}`, before: String(was), after: String(is), looser: is > was })
  }
  return changes.sort((a, b) => Number(b.looser) - Number(a.looser))
}

/** A path that is taken to be read-only inside a writable one takes something away. */
const added = (field: string, path: string, within: Profile): Change => ({
  field,
  before: null,
  after: path,
  looser: !isException(field, path, within),
})

const taken = (field: string, path: string, within: Profile): Change => ({
  field,
  before: path,
  after: null,
  looser: isException(field, path, within),
})

const isException = (field: string, path: string, { write }: Profile): boolean =>
  field === 'read' && write.some((folder) => folder === '.' || path.startsWith(`${folder}/`))

const accessLine = ({ kind, path }: Profile['ask'][number]): string => `${kind} ${path}`
