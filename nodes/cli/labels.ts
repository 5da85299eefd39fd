/** What is written of a machine into its certificate, as it is typed: `site=berlin,gpu`, or `none`. */
import { labelsSchema } from '../../mesh/seal/certificate.js'
import { ClawmeshError } from '../../policies/errors.js'

/** Undefined where nothing was said. */
export function readLabels(given: string | undefined): string[] | undefined {
  if (given === undefined) return undefined
  if (given === 'none') return []
  const labels = [...new Set(given.split(',').map((word) => word.trim()))]
  if (labelsSchema.safeParse(labels).success) return labels
  throw new ClawmeshError('USAGE', `"${given}" are no labels.`, {
    hint: 'Say up to 16 with commas between them: words, or KEY=VALUE, in small letters, digits, dots, hyphens and underscores.',
  })
}
