import { atLeast, type Category, categories, type Label, labels, type Sensitivity } from '../policies/router-label.js'

export { type Label, labels }

/** The label of a whole is that of its most sensitive part; of nothing at all it is RESTRICTED, since nobody has said otherwise. */
export function join(parts: readonly Label[]): Label {
  const [first = 'RESTRICTED', ...rest] = parts
  return rest.reduce((highest, label) => (atLeast(highest, label) ? highest : label), first)
}

/** A whole is as sensitive as its most sensitive part, and of every category that a part is of. */
export function joinSensitivity(parts: readonly Sensitivity[]): Sensitivity {
  const held = new Set(parts.flatMap((part) => part.categories))
  return {
    label: join(parts.map(({ label }) => label)),
    categories: categories.filter((category) => held.has(category)),
  }
}

/** Of a single find. */
export const sensitivityOf = ({ label, category }: { label: Label; category?: Category }): Sensitivity => ({
  label,
  categories: category ? [category] : [],
})
