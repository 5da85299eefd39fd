/** How sensitive something is, and of what sort. Spoken by the rules here and by everything in router/. */
import { z } from 'zod'

/** From what anybody may read to what must not leave the mesh. */
export const labels = ['PUBLIC', 'INTERNAL', 'CONFIDENTIAL', 'RESTRICTED'] as const
export type Label = (typeof labels)[number]

/** Personal data, health data, financial records, and what opens a door. */
export const categories = ['PII', 'PHI', 'FIN', 'SECRET'] as const
export type Category = (typeof categories)[number]

export interface Sensitivity {
  readonly label: Label
  /** Without repetition, in the order of `categories`. */
  readonly categories: readonly Category[]
}

/** As it travels between nodes, with what it is said of. */
export const sensitivitySchema = z.object({ label: z.enum(labels), categories: z.array(z.enum(categories)).readonly() })

export const atLeast = (label: Label, least: Label): boolean => labels.indexOf(label) >= labels.indexOf(least)
