import type { Child } from '../../mesh/index.js'

/** Actors in turn over these nodes. Each is started elsewhere where its own node is not to be had. */
export const spread = (children: readonly Child[], places: readonly string[]): Child[] =>
  children.map((child, index) => ({ ...child, prefers: places[index % places.length] ?? '' }))
