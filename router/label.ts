/** How sensitive something is. Labels only rise when things are joined; nothing in this room lowers one. */
export const labels = ['PUBLIC', 'INTERNAL', 'CONFIDENTIAL', 'RESTRICTED'] as const
export type Label = (typeof labels)[number]

/** The label of a whole is that of its most sensitive part; of nothing at all it is RESTRICTED, since nobody has said otherwise. */
export function join(parts: readonly Label[]): Label {
  const [first = 'RESTRICTED', ...rest] = parts
  return rest.reduce((highest, label) => (labels.indexOf(label) > labels.indexOf(highest) ? label : highest), first)
}
