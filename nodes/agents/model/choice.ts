/** Which model a question goes to: of those that the rules, the asker's grant and the question itself leave, the one that will likely answer soonest. */
import type { GenerateRequest } from '../../../inference/backend.js'
import { allows, type Grant, type MeshNode } from '../../../mesh/index.js'
import { inOrder } from '../../../policies/complexity.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { RouteDecision } from '../../../policies/router.js'
import { choose } from '../../../router/route.js'
import { namesOf, placeAmong } from '../../process/placing.js'
import { sentBy } from '../../process/sent.js'
import { type Candidate, candidates, drawn, named, suited, unreachable, usualOrder } from './candidate.js'

/** What a question asks for beside what the rules let it. */
export interface Wish {
  model: string | undefined
  /** Those that the asker may ask. */
  among: readonly string[] | undefined
  /** Under which it is asked: models that it does not name are not chosen. */
  grant: Grant | undefined
  /** Whom the rules have asked first, by how hard the prompt looks. */
  order: readonly string[]
  /** Who was asked before, in vain or in part. */
  before: Candidate | undefined
  /** Nodes that failed at this question: others are asked first. */
  failed: ReadonlySet<string>
  /** Words of `before` were delivered: only the same model can go on. */
  isBegun: boolean
}

/** The model that the decision lets see the prompt, of the mesh the one that will likely answer soonest. */
export function chooseModel(
  node: MeshNode,
  decision: RouteDecision,
  { model, among, grant, order, before, failed, isBegun }: Wish,
  request: GenerateRequest,
): Candidate {
  const all = candidates(node)
  const known = all.filter((each) => among === undefined || among.includes(each.model))
  // What the mesh has, and not what this asker may ask of it, says whether there is a way out of it. One elsewhere is asked by the holder of its key alone, whatever a node is called.
  const asked = permitted(all, decision, granted(named(known, model), grant)).filter(
    ({ zone, holder }) => zone === 'mesh' || holder !== undefined,
  )
  const allowed = inOrder(order, usualOrder(asked, model))
  // What was asked in the mesh stays in the mesh, and what was begun by a model is ended by it (invariant 3).
  const within = allowed.filter((each) => before?.zone !== 'mesh' || each.zone === 'mesh')
  const able = isBegun ? within.filter(({ digest }) => digest !== undefined && digest === before?.digest) : within
  const [first] = able
  if (!first || first.zone === 'elsewhere') return first ?? unreachable(isBegun ? before?.model : model, [])
  const inMesh = able.filter(({ zone }) => zone === 'mesh')
  // Whoever has begun an answer was able to.
  const here = isBegun ? inMesh : suited(inMesh, namesOf(request))
  const others = here.filter(({ name }) => !failed.has(name))
  return soonest(node, others.length > 0 ? others : here, request)
}

/** Of models of the mesh the one that will likely answer soonest. Throws MEMORY_FULL where there is no room to load any. */
function soonest(node: MeshNode, able: readonly Candidate[], request: GenerateRequest): Candidate {
  const names = new Set(able.map(({ name }) => name))
  const models = [...new Set(able.map(({ model }) => model))]
  const nodes = node.nodes().filter(({ name }) => names.has(name))
  const { chosen, reasons } = placeAmong(nodes, request, { zones: ['mesh'], models, sent: sentBy(node) })
  const found = chosen && able.find(({ name, model }) => name === chosen.node && model === chosen.model)
  if (found) return found
  const blind = reasons.filter((reason) => 'refused' in reason && reason.by === 'modality')
  if (blind.length > 0 && blind.length === reasons.length)
    throw new ClawmeshError('MODEL_UNSUITED', `None of ${models.join(', ')} takes images.`, {
      hint: 'Ask a model that does: docs/models.md says how one is known by the mesh.',
    })
  const unfit = reasons.flatMap((reason) => ('refused' in reason && reason.by === 'memory' ? [reason] : []))
  const others = able.filter(({ name, model }) => !unfit.some((each) => each.node === name && each.model === model))
  if (others.length > 0) return drawn(others)
  throw new ClawmeshError(
    'MEMORY_FULL',
    `No node has the memory to load ${models.join(' or ')} now: ${unfit.map(({ node: name, refused }) => `${name}: ${refused}`).join('; ')}.`,
    { hint: '`clawmesh nodes` shows what is free, `clawmesh place TEXT` what each model takes.' },
  )
}

/** Those that a grant lets one ask. Where it is none of them, whoever has one says so. */
function granted(all: Candidate[], grant: Grant | undefined): Candidate[] {
  if (!grant) return all
  const on = ({ model, zone }: Candidate) => (zone === 'mesh' ? 'mesh' : model)
  const some = all.filter((each) => allows(grant.terms, { can: 'think', on: on(each) }) === undefined)
  return some.length > 0 ? some : all
}

/** Those of `able` that the decision lets see the prompt; `all`: whatever can be asked. Throws DENIED if none may. */
export function permitted(all: readonly Candidate[], decision: RouteDecision, able: readonly Candidate[]): Candidate[] {
  // In a mesh with no way out nothing is to be kept from one: the decision is on record, and that is all.
  const isClosed = all.every(({ holder }) => holder === undefined)
  return choose(isClosed && decision.effect === 'block' ? { ...decision, effect: 'local' } : decision, able)
}
