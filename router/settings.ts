/** From the rules as a person wrote them to what the classifier needs. */
import { ClawmeshError } from '../policies/errors.js'
import type { RouterRules } from '../policies/router.js'
import type { ClassifySettings } from './classify.js'
import { type Kind, type KindInfo, kindNames } from './detect/kind.js'
import { detectorOf } from './detect/pattern.js'
import { type TagKind, tagKinds } from './tagger/tagger.js'

/** @throws ClawmeshError POLICY_INVALID for a kind that is none, or a pattern that RE2 does not take */
export function settingsOf(rules: RouterRules): ClassifySettings {
  const named = [...Object.keys(rules.kinds), ...rules.rules.flatMap(({ redact = [] }) => redact)]
  const stray = named.find((kind) => !kindNames.includes(kind as Kind))
  if (stray !== undefined) {
    throw new ClawmeshError('POLICY_INVALID', `The router rules name the kind ${stray}, and there is none.`, {
      hint: `Kinds: ${kindNames.join(', ')}.`,
    })
  }
  if (rules.rules.some(({ redact = [] }) => redact.includes('secret'))) {
    throw new ClawmeshError('POLICY_INVALID', 'The router rules redact secrets.', {
      hint: 'Secrets block: take "secret" out of the list.',
    })
  }
  const untagged = rules.tagger.kinds.find((kind) => !tagKinds.includes(kind as TagKind))
  if (untagged !== undefined) {
    throw new ClawmeshError('POLICY_INVALID', `The router rules have the tagger look for ${untagged}, and it cannot.`, {
      hint: `It looks for: ${tagKinds.join(', ')}.`,
    })
  }
  return {
    regions: rules.regions,
    unmarked: rules.unmarked,
    kinds: rules.kinds as Partial<Record<Kind, Partial<KindInfo>>>,
    more: rules.patterns.map(detectorOf),
    named: new Map(
      rules.patterns.map(({ name, label, category }) => [
        name,
        category === undefined ? { label } : { label, category },
      ]),
    ),
  }
}
