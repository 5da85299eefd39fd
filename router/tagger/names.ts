/** Names, addresses and organisations in texts, as findings. Each text is looked at alone, so that the same text has the same ones wherever it stands. */
import { ClawmeshError } from '../../policies/errors.js'
import { type ClassifySettings, type Finding, findingOf } from '../classify.js'
import { kindNames } from '../detect/kind.js'
import { pseudonymEnding } from '../pseudonym/vault.js'
import type { View } from '../view/view.js'
import { nothingSeen, readViews } from '../view/views.js'
import type { Tagger, TagKind } from './tagger.js'

/** Of all texts together, in UTF-16 units. */
const longestTagged = 1024 * 1024
/** What names a field, a role or a function has no neighbours to be understood by, and begins with no capital. */
const bareWord = /^(?:[a-z][A-Za-z0-9_./:-]{0,63}|[0-9_./:-]{0,64})$/
const pseudonym = new RegExp(
  `\\[(?:${[...kindNames, 'text'].map((kind) => kind.toUpperCase()).join('|')})_\\d{1,9}_${pseudonymEnding}\\]`,
  'g',
)

/**
 * @param kinds those that are looked for
 * @returns for each text, what stands in it
 * @throws ClawmeshError TAGGER_UNAVAILABLE, also for more than can be looked at
 */
export async function namesIn(
  texts: readonly string[],
  tagger: Tagger | undefined,
  kinds: readonly TagKind[],
  settings: ClassifySettings,
): Promise<readonly (readonly Finding[])[]> {
  if (kinds.length === 0) return texts.map(() => [])
  if (!tagger) throw unavailable('no tagger is open')
  const seen = texts.map((text) => (bareWord.test(text) ? [] : viewsOf(text)))
  const asked = seen.flat().map(({ text }) => text.replace(pseudonym, blanked))
  const length = asked.reduce((sum, text) => sum + text.length, 0)
  if (length > longestTagged) throw unavailable(`${length} characters are more than are looked at`)
  const tagged = await tagger.tag(asked)
  let next = 0
  return seen.map((views) =>
    views.flatMap((view) =>
      (tagged[next++] ?? []).flatMap(({ kind, start, end }) =>
        kinds.includes(kind)
          ? [findingOf(kind, undefined, view.origin(start, end), view.stepsAt(start), settings)]
          : [],
      ),
    ),
  )
}

/** The text as it stands and what it encodes; guesses are none of a tagger's. */
function viewsOf(text: string): View[] {
  const views: View[] = []
  readViews(text, (view) => {
    if (!view.lossy) views.push(view)
    return nothingSeen
  })
  return views
}

/** A pseudonym says nothing of anybody; its place stays, so that places behind it do. */
const blanked = (match: string): string => `[${' '.repeat(match.length - 2)}]`

function unavailable(why: string): ClawmeshError {
  return new ClawmeshError('TAGGER_UNAVAILABLE', `Names could not be looked for, so nothing leaves: ${why}.`, {
    hint: 'See "Names" in docs/router.md; ask a model of the mesh meanwhile.',
  })
}
