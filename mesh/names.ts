/** Which run has each actor's name, as the newest entry says that was heard of: answers and the watch tell of the same in any order. */
export interface NameEntry {
  /** Id of the run. */
  readonly owner: string
  /** Of the bucket. */
  readonly key: string
  readonly revision: number
}

export class Names {
  readonly #entries = new Map<string, NameEntry>()
  readonly #actors = new Map<string, string>()

  entry(actor: string): NameEntry | undefined {
    return this.#entries.get(actor)
  }

  ownerOf(actor: string): string | undefined {
    return this.#entries.get(actor)?.owner
  }

  /** All names that somebody has. */
  actors(): string[] {
    return [...this.#entries.keys()]
  }

  /** How many have been taken between two revisions, and are still had. */
  takenBetween(after: number, before: number): number {
    return [...this.#entries.values()].filter(({ revision }) => revision > after && revision < before).length
  }

  /** False for what is known already, or was before what is known. */
  take(actor: string, entry: NameEntry): boolean {
    const known = this.#entries.get(actor)
    if (known && entry.revision <= known.revision) return false
    this.#entries.set(actor, entry)
    this.#actors.set(entry.key, actor)
    return true
  }

  /** Nobody has it any more, unless somebody has taken it since. */
  forget(key: string, revision: number): void {
    const actor = this.#actors.get(key)
    if (actor === undefined || (this.#entries.get(actor)?.revision ?? 0) > revision) return
    this.#actors.delete(key)
    this.#entries.delete(actor)
  }
}
