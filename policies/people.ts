/**
 * Who may do what, as Cedar policies say it: those that come with clawmesh, and those of a mesh's own.
 *
 *     const people = readPeople(openCedar(), { schema, shipped }, { text, source: 'people.cedar' })
 *     people.decide({ name: 'laptop', role: 'developer' }, 'readTasks', mesh)      // { allowed: true, by: ['developer'] }
 *
 * 1. What no policy permits is denied, and a forbid wins: so a policy of one's own can widen and narrow, and never undo a forbid.
 * 2. Every policy is checked against the schema before any counts. One that fails in spite of it, while it decides, denies.
 * 3. A decision is a matter of who, what and on what alone, so it is kept until the policies are others.
 */
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs'
import { ClawmeshError } from './errors.js'
import type { Label } from './router-label.js'

/** What a key of the gateway may be for. Not the roles of nodes. */
export const peopleRoles = ['viewer', 'developer', 'operator', 'approver', 'auditor', 'service', 'admin'] as const
export type PeopleRole = (typeof peopleRoles)[number]

export const peopleActions = [
  'enter',
  'readPolicies',
  'readNodes',
  'readModels',
  'readMetrics',
  'readCosts',
  'readAudit',
  'askModel',
  'useTool',
  'beginTask',
  'readTasks',
  'cancelTask',
  'settleTask',
  'readApprovals',
  'answerApproval',
] as const
export type PeopleAction = (typeof peopleActions)[number]

export interface Person {
  /** Of the key. */
  readonly name: string
  readonly role: PeopleRole
}

/** Whoever has a key of that role, of no particular name. */
export const someone = (role: PeopleRole): Person => ({ name: '-', role })

export interface Resource {
  readonly type: 'Mesh' | 'Task' | 'Question' | 'Policy' | 'Model' | 'Tool'
  readonly id: string
}

/** All of it. */
export const mesh: Resource = { type: 'Mesh', id: 'this' }

export interface Ruling {
  readonly allowed: boolean
  /** The policies that decided, by their ids; none where nothing permits it. */
  readonly by: readonly string[]
}

/** In words, for whoever is refused. */
export const whyRefused = ({ by }: Ruling): string =>
  by.length === 0 ? 'no policy permits it' : `forbidden by ${by.join(', ')}`

export interface PolicyText {
  readonly text: string
  /** What the person calls it, for messages. */
  readonly source: string
}

export type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs')

/** A set of policies is a page or two, and each one makes every new decision slower. */
const mostCharacters = 256 * 1024
const mostKept = 10_000
const longestId = 200

/** Before the ids of a mesh's own policies, so that the trail says whose policy decided. */
export const ownPrefix = 'own:'

let sets = 0

const require = createRequire(import.meta.url)

/**
 * One of its own, loaded when it is first wanted: 4 MB of WebAssembly, about 0.1 s. Whatever made it break off in the middle (policies that are nested too deeply
 * overflow its stack) has left it in no state to decide anything: from then on another one has to.
 */
export function openCedar(): Cedar {
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs')
  delete require.cache[path]
  return require(path) as Cedar
}

/** @throws ClawmeshError POLICY_INVALID, naming the source and what is wrong */
export function readPeople(
  cedar: Cedar,
  { schema, shipped }: { schema: string; shipped: PolicyText },
  own?: PolicyText,
): People {
  const policies = { ...partsOf(cedar, shipped, ''), ...(own ? partsOf(cedar, own, ownPrefix) : {}) }
  const answer = cedar.validate({ schema, policies: { staticPolicies: policies } })
  if (answer.type === 'failure') throw invalid(shipped.source, answer.errors[0])
  // A warning says that a policy can never apply: one that was meant to forbid would forbid nothing.
  const [wrong] = [...answer.validationErrors, ...answer.validationWarnings]
  if (wrong) throw invalid(wrong.policyId.startsWith(ownPrefix) && own ? own.source : shipped.source, wrong.error)
  const hash = createHash('sha256').update(shipped.text).update('\0')
  if (own) hash.update(own.text)
  return new People(cedar, schema, policies, hash.digest('hex').slice(0, 16), own?.text)
}

export class People {
  /** Another one where any policy is another. */
  readonly version: string
  /** Ids of all policies. */
  readonly policies: readonly string[]
  /** The text of the mesh's own. */
  readonly own: string | undefined
  readonly #cedar: Cedar
  readonly #set: string
  readonly #kept = new Map<string, Ruling>()
  #isLost = false

  constructor(cedar: Cedar, schema: string, policies: Record<string, string>, version: string, own?: string) {
    this.version = version
    this.own = own
    this.policies = Object.keys(policies)
    this.#cedar = cedar
    this.#set = `people ${sets++}`
    for (const answer of [
      cedar.preparseSchema(this.#set, schema),
      cedar.preparsePolicySet(this.#set, { staticPolicies: policies }),
    ])
      if (answer.type === 'failure') throw invalid('people', answer.errors[0])
  }

  /** Its Cedar broke off: it decides nothing new any more. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** `label`: of the files that it is about, for `useTool`. */
  decide(who: Person, action: PeopleAction, on: Resource, label?: Label): Ruling {
    const key = [who.role, who.name, action, on.type, on.id, label ?? ''].join('\0')
    const known = this.#kept.get(key)
    if (known) return known
    const ruling = this.#askOrBreak(who, action, on, label)
    if (this.#kept.size >= mostKept) this.#kept.clear()
    if (on.id.length <= longestId) this.#kept.set(key, ruling)
    return ruling
  }

  #askOrBreak(who: Person, action: PeopleAction, on: Resource, label?: Label): Ruling {
    if (this.#isLost) throw new ClawmeshError('INTERNAL', 'Cedar broke off before.')
    try {
      return this.#ask(who, action, on, label)
    } catch (error) {
      this.#isLost = !(error instanceof ClawmeshError)
      throw ClawmeshError.from(error)
    }
  }

  #ask({ name, role }: Person, action: PeopleAction, on: Resource, label?: Label): Ruling {
    const parents = on.type === 'Mesh' ? [] : [mesh]
    const answer = this.#cedar.statefulIsAuthorized({
      principal: { type: 'User', id: name },
      action: { type: 'Action', id: action },
      resource: on,
      context: label === undefined ? {} : { label: { __entity: { type: 'Label', id: label } } },
      preparsedPolicySetId: this.#set,
      preparsedSchemaName: this.#set,
      validateRequest: true,
      entities: [
        { uid: { type: 'User', id: name }, attrs: {}, parents: [{ type: 'Role', id: role }] },
        { uid: on, attrs: {}, parents },
      ],
    })
    if (answer.type === 'failure')
      throw new ClawmeshError('INTERNAL', `Cedar did not decide ${action} on ${on.type}: ${answer.errors[0]?.message}`)
    const { decision, diagnostics } = answer.response
    // A policy that fails is left out by Cedar. It may have been a forbid.
    const failed = diagnostics.errors.map(({ policyId }) => policyId)
    if (failed.length > 0) return { allowed: false, by: failed }
    return { allowed: decision === 'allow', by: [...diagnostics.reason].sort() }
  }
}

/** Each by its id: the annotation `@id`, else its place in the text. */
function partsOf(cedar: Cedar, { text, source }: PolicyText, prefix: string): Record<string, string> {
  if (text.length > mostCharacters) throw refused(source, `is longer than ${mostCharacters} characters`)
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') throw invalid(source, parts.errors[0], text)
  if (parts.policy_templates.length > 0) throw refused(source, 'holds a template: say whom each policy is about')
  const policies: Record<string, string> = {}
  for (const [index, policy] of parts.policies.entries()) {
    const read = cedar.policyToJson(policy)
    if (read.type === 'failure') throw invalid(source, read.errors[0])
    const id = `${prefix}${read.json.annotations?.['id'] ?? `policy ${index + 1}`}`
    if (id in policies) throw refused(source, `has two policies with the id "${id}"`)
    policies[id] = policy
  }
  return policies
}

/** `text`: in which the error says its place. */
function invalid(source: string, error: DetailedError | undefined, text?: string): ClawmeshError {
  const at = error?.sourceLocations?.[0]?.start
  const line = text === undefined || at === undefined ? '' : `:${text.slice(0, at).split('\n').length}`
  const help = error?.help ? `; ${error.help}` : ''
  return refused(`${source}${line}`, `${error?.message ?? 'does not read'}${help}`)
}

const refused = (where: string, what: string): ClawmeshError =>
  new ClawmeshError('POLICY_INVALID', `${where}: ${what}.`, {
    hint: 'docs/people.md has examples; policies/people.cedarschema has the words that there are.',
  })
