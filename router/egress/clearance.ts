/**
 * Leave to send one body to one model, once.
 *
 * 1. A clearance is made by `clear` alone, which reads the exact bytes that would leave, decides by the rules, and has the intent acknowledged by the
 *    audit trail. There is no other way to make one: the class is not exported, and an object that only looks like one is not in the register.
 * 2. It holds for the SHA-256 of those bytes, for one provider and model, for a short time, once. A retry is cleared again.
 */
import { createHash } from 'node:crypto'
import type { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { decideRoute, type RouteDecision, type RouterRules } from '../../policies/router.js'
import type { Sensitivity } from '../../policies/router-label.js'
import type { RouterAudit } from '../audit.js'
import { type ClassifySettings, classify } from '../classify.js'
import { keeping } from '../kept.js'
import { joinSensitivity, sensitivityOf } from '../label.js'
import { labelBy, type Opinion } from '../opinion.js'
import type { NameSearch } from '../pseudonym/rounds.js'
import { lay, leaves } from '../request.js'

export interface Destination {
  readonly provider: string
  readonly model: string
}

export interface ClearanceRequest {
  readonly rules: RouterRules
  readonly settings: ClassifySettings
  readonly audit: RouterAudit
  readonly names: NameSearch
  /** Of the whole line of work, before redaction. */
  readonly sensitivity: Sensitivity
  readonly roles: readonly Role[]
  /** Budgets of which less is left than this may take. */
  readonly spent: readonly string[]
  /** Asks the judging model of the rules. */
  readonly opinion?: Opinion | undefined
  readonly destination: Destination
  /** JSON, in UTF-8. */
  readonly body: Uint8Array
  readonly trace: string
  readonly actor: string
  readonly signal: AbortSignal
}

const goodForMs = 10_000

class ClearanceOf {
  readonly #digest: string
  readonly #destination: Destination
  readonly #until: number

  constructor(digest: string, destination: Destination) {
    this.#digest = digest
    this.#destination = destination
    this.#until = performance.now() + goodForMs
  }

  get destination(): Destination {
    return this.#destination
  }

  holdsFor(body: Uint8Array): boolean {
    return this.#digest === sha256(body) && performance.now() < this.#until
  }
}

export type Clearance = InstanceType<typeof ClearanceOf>

const unspent = new WeakSet<Clearance>()

/** @throws ClawmeshError DENIED if anything in these bytes may not leave; rejects with what the audit trail rejects with */
export async function clear(request: ClearanceRequest): Promise<Clearance> {
  const { rules, sensitivity, roles, spent, destination, body, audit } = request
  const named = `${destination.provider}/${destination.model}`
  const check = (before: Sensitivity, after?: Sensitivity): RouteDecision => {
    const whole = decideRoute(rules, { ...before, roles, spent })
    if (whole.effect !== 'redact' && whole.effect !== 'allow') throw denied(`the rule ${whole.rule} keeps it`, spent)
    if (!whole.models.includes(named)) throw denied(`the rule ${whole.rule} does not name ${named}`, spent)
    const left = after && decideRoute(rules, { ...after, roles, spent })
    if (left && (left.effect !== 'allow' || !left.models.includes(named)))
      throw denied(`after redaction there is something left in it that the rule ${left.rule} keeps`, spent)
    return whole
  }
  check(sensitivity)
  const { texts, found } = readBody(request)
  const after = joinSensitivity([found, ...(await request.names(texts)).flat().map(sensitivityOf)])
  const whole = check(sensitivity, after)
  const label = rules.judge && (await labelBy(rules.judge, texts, request))
  if (label !== undefined) {
    const judged = { label, categories: [] }
    try {
      check(joinSensitivity([sensitivity, judged]), joinSensitivity([after, judged]))
    } catch (cause) {
      throw keeping(`${rules.judge?.model}, which the rules have judge it, says ${label}`, { spent, label }, cause)
    }
  }
  const digest = sha256(body)
  await audit.intend({
    kind: 'egress.intended',
    trace: request.trace,
    actor: request.actor,
    facts: { model: named, bytes: body.length, sha256: digest, rule: whole.rule, label: sensitivity.label },
  })
  const clearance = new ClearanceOf(digest, destination)
  unspent.add(clearance)
  return clearance
}

/** Spends it. Throws DENIED for what is none, was spent, has expired, or is for another body. */
export function spend(clearance: Clearance, body: Uint8Array): Destination {
  if (!unspent.delete(clearance)) throw denied('it was not cleared, or its clearance was used before')
  if (!clearance.holdsFor(body)) throw denied('its clearance is for another body, or too old')
  return clearance.destination
}

/** The bytes as they would be read at the other end: as they stand, and with every string in them laid end to end. */
function readBody({ body, settings }: ClearanceRequest): { texts: string[]; found: Sensitivity } {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  const texts = leaves(JSON.parse(text))
  return { texts, found: joinSensitivity([classify(text, settings), classify(lay(texts).text, settings)]) }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const denied = (why: string, spent: readonly string[] = []): ClawmeshError => keeping(why, { spent })
