/** Whether a model elsewhere may write an answer: the rules of the mesh let each piece of evidence leave with the label of what was read of its source, and all of them together. */
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { ModelRequest } from '../../../router/request.js'
import type { Asker, Router } from '../../../router/router.js'
import type { RouterSession } from '../../../router/session.js'
import { holderOf } from '../../elsewhere.js'
import { routerOf } from '../model/privacy.js'
import { type Evidence, placeOf } from './evidence.js'

export interface Wish {
  evidence: readonly Evidence[]
  /** All of it together, as it would be asked. */
  request: ModelRequest
  session: RouterSession
  asker: Asker
  /** Of the models that could be asked: whether there is money for it. */
  mayAsk: (model: string) => boolean
}

/** The first model elsewhere that the rules name for all of it and that can be asked, or why there is none. Throws DENIED where no model may see a piece. */
export async function writerElsewhere(
  node: MeshNode,
  { evidence, request, session, asker, mayAsk }: Wish,
): Promise<{ model: string } | { kept: string }> {
  const router = await routerOf(node)
  const kept = await keptHere(router, evidence, asker)
  if (kept !== undefined) return { kept }
  const served = holderOf(node)?.models ?? []
  if (served.length === 0) return { kept: 'the mesh has no model elsewhere' }
  const { decision } = await router.judge(session, request, asker)
  const may = decision.models.filter((name) => served.includes(name))
  if (may.length === 0)
    return { kept: `by the rule ${decision.rule} all of it together stays here, with what was read beside it` }
  const model = may.find(mayAsk)
  return model === undefined ? { kept: `the price table has no price for ${may.join(', ')}` } : { model }
}

/** Why the evidence may not leave, naming the first piece that may not; undefined if each of them may. */
async function keptHere(router: Router, evidence: readonly Evidence[], asker: Asker): Promise<string | undefined> {
  const kept: string[] = []
  for (const each of evidence) {
    const session = router.open(asker.trace)
    session.raise(each.seen)
    const request = { messages: [{ role: 'user' as const, content: each.quote }], maxTokens: 1 }
    const { decision } = await router.judge(session, request, asker)
    if (decision.effect === 'block')
      throw new ClawmeshError('DENIED', `The rule ${decision.rule} blocks ${placeOf(each)}: no model sees it.`, {
        hint: 'Take the secret out of the source, or leave the source out.',
      })
    if (decision.effect === 'local') kept.push(`${placeOf(each)} stays here by the rule ${decision.rule}`)
  }
  const [first] = kept
  return first && `${first}${kept.length > 1 ? `, and so do ${kept.length - 1} others` : ''}`
}
