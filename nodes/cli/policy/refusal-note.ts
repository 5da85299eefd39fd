/** That a policy holds says nothing of a workspace: what it is to keep in there may not be there. Whoever puts it in force is told so, and nothing fails. */
import { ClawmeshError } from '../../../policies/errors.js'
import { parseProfile } from '../../../policies/profile.js'
import { readPolicy } from '../../../sandbox/preset.js'
import { refusalOf } from '../../../sandbox/refusal.js'
import { type Offer, ofMesh, recallOffer } from '../../member/offer.js'
import { progress } from '../terminal.js'
import { untilThen } from './named-policy.js'

type Named = { readonly name: string; readonly text: string }

/** Where every action in this workspace is refused under this policy, says so. */
export async function sayRefusal({ name, text }: Named, workspace: string): Promise<void> {
  const refusal = await refusalOf(parseProfile(text, name), workspace)
  if (refusal)
    progress(
      `Every action in ${workspace} is refused under the policy ${name}: ${refusal.message} ${refusal.hint}`.trim(),
    )
}

/** The same of what a machine offers. `newest`: the mesh's, where it has one. */
export async function sayOfferRefusal({ workspace, policy: named }: Offer, newest: Named | undefined): Promise<void> {
  if (workspace === undefined) return
  const own = named === ofMesh ? newest : await readPolicy(named)
  await sayRefusal(own ?? (await readPolicy(untilThen)), workspace)
}

/** The same of a policy that the mesh has by now, for what the machine with this data folder was last told to offer. */
export async function sayRefusalHere(data: string, newest: Named): Promise<void> {
  try {
    const offer = recallOffer(data, {})
    if (offer.policy === ofMesh) await sayOfferRefusal(offer, newest)
  } catch (error) {
    progress(ClawmeshError.from(error).message)
  }
}
