/** Finds what has no grammar: names of persons, addresses, organisations. */
export const tagKinds = ['name', 'address', 'organisation'] as const
export type TagKind = (typeof tagKinds)[number]

/** Half open, in UTF-16 units of the text that was given. */
export interface Tag {
  readonly kind: TagKind
  readonly start: number
  readonly end: number
}

export interface Tagger {
  /**
   * The tags of each text, in order and apart. Texts are in canonical spelling (view/canonical.ts), and what comes back depends on each alone.
   * @throws ClawmeshError TAGGER_UNAVAILABLE where it cannot say: then nobody knows, which is not the same as nothing
   */
  tag(texts: readonly string[]): Promise<readonly (readonly Tag[])[]>
}
