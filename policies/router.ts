/**
 * The rules of the privacy router: YAML in, a decision out. Pure.
 *
 *     const rules = parseRouterRules(readFileSync('policies/router.yaml', 'utf8'), 'router.yaml')
 *     decideRoute(rules, { label: 'CONFIDENTIAL', categories: ['PII'], roles: ['worker'] })
 *     // { effect: 'redact', rule: 'persons-are-redacted', redact: ['email', …], models: [] }
 */
import { posix } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { budgetSchema } from './budget.js'
import { complexities } from './complexity.js'
import { ClawmeshError } from './errors.js'
import { roles as allRoles, type Role } from './roles.js'
import { atLeast, categories, labels, type Sensitivity } from './router-label.js'

/** `block`: nobody sees it. `local`: models of the mesh. `redact`: elsewhere too, after redaction. `allow`: elsewhere too, as it is. */
export const effects = ['block', 'local', 'redact', 'allow'] as const
export type Effect = (typeof effects)[number]

export interface RouteFacts extends Sensitivity {
  /** Of the one who asks. */
  readonly roles: readonly Role[]
  /** Budgets of which less is left than the question may take; none, if left out. */
  readonly spent?: readonly string[] | undefined
}

export interface RouteDecision {
  readonly effect: Effect
  /** The name of the rule that decided. */
  readonly rule: string
  /** Kinds that are replaced before anything leaves. */
  readonly redact: readonly string[]
  /** Models elsewhere that may see it, as `provider/model`. */
  readonly models: readonly string[]
}

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be small letters, digits and dashes')
const kind = name
const label = z.enum(labels)
const model = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}\/.{1,128}$/, 'must be "provider/model"')
const orderedModel = z.union([z.literal('mesh'), model])

const ruleSchema = z
  .strictObject({
    name,
    when: z.strictObject({
      /** Any of them. */
      categories: z.array(z.enum(categories)).min(1).optional(),
      atLeast: label.optional(),
      atMost: label.optional(),
      /** The one who asks has any of them. */
      roles: z.array(z.enum(allRoles)).min(1).optional(),
      /** Of all of these budgets enough is left for the question. */
      within: z.array(name).min(1).optional(),
      /** Of any of these budgets it is not. */
      spent: z.array(name).min(1).optional(),
    }),
    effect: z.enum(effects),
    redact: z.array(kind).min(1).optional(),
    /** Fewer than `elsewhere`. */
    models: z.array(model).optional(),
  })
  .refine(({ effect, redact }) => (effect === 'redact') === (redact !== undefined), {
    message: 'names what to redact if, and only if, it redacts',
    path: ['redact'],
  })

const schema = z.strictObject({
  version: z.literal(1),
  regions: z.array(z.string().regex(/^[A-Z]{2}$/)).max(8),
  unmarked: label,
  files: z.array(
    z.strictObject({ path: z.string().min(1), label, categories: z.array(z.enum(categories)).default([]) }),
  ),
  kinds: z.record(kind, z.strictObject({ label: label.optional(), category: z.enum(categories).optional() })),
  patterns: z
    .array(
      z.strictObject({
        name,
        pattern: z.string().min(1).max(1000),
        label: label.default('CONFIDENTIAL'),
        category: z.enum(categories).optional(),
      }),
    )
    .max(50),
  /** Names, addresses and organisations, looked for in what may leave. */
  tagger: z
    .strictObject({
      kinds: z.array(kind).default(['name', 'address', 'organisation']),
      /** Of another tagger than the one that ships. */
      folder: z.string().min(1).optional(),
    })
    .prefault({}),
  elsewhere: z.array(model),
  /** Which of those that may see a prompt `auto` asks first, by how hard it looks; `mesh` is any model of the mesh. */
  order: z
    .strictObject({
      from: z.strictObject({ moderate: z.int().min(1).default(2), hard: z.int().min(2).default(5) }).prefault({}),
      simple: z.array(orderedModel).default([]),
      moderate: z.array(orderedModel).default([]),
      hard: z.array(orderedModel).default([]),
      /** Where the list for how hard a prompt looks is empty, the cheapest that is good enough is asked first. */
      prices: z
        .array(
          z.strictObject({
            model: orderedModel,
            /** The hardest prompts for which it is good enough. */
            upTo: z.enum(complexities),
            /** Of one million tokens, all in one currency. */
            input: z.number().nonnegative(),
            output: z.number().nonnegative(),
          }),
        )
        .default([]),
    })
    .prefault({}),
  /** What models elsewhere may take; rules ask whether it is spent. */
  budgets: z.array(budgetSchema(name, model)).max(20).default([]),
  /** A model of the mesh that is asked how sensitive is what would leave. It can raise the label and nothing else. */
  judge: z
    .strictObject({ model: z.string().min(1).max(256), seconds: z.number().positive().max(600).default(20) })
    .optional(),
  rules: z.array(ruleSchema).min(1),
  on_error: z.literal('refuse', 'only refuse is taken: what could not be judged does not leave'),
})

export type RouterRules = z.output<typeof schema>

/**
 * @param text YAML
 * @param source what the person calls the text, for messages
 * @throws ClawmeshError POLICY_INVALID naming field and reason
 */
export function parseRouterRules(text: string, source = 'router rules'): RouterRules {
  const parsed = schema.safeParse(fromYaml(text, source))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(source, issue?.path.join('.') ?? '', issue?.message ?? 'is not valid')
  }
  const rules = parsed.data
  const names = rules.rules.map((rule) => rule.name)
  const twice = names.find((each, index) => names.indexOf(each) !== index)
  if (twice !== undefined) throw invalid(source, 'rules', `has two rules named ${twice}`)
  const { from, prices, ...ordered } = rules.order
  const priced = prices.map((each) => each.model)
  const pricedTwice = priced.find((each, index) => priced.indexOf(each) !== index)
  if (pricedTwice !== undefined) throw invalid(source, 'order.prices', `has two prices for ${pricedTwice}`)
  if (from.hard <= from.moderate) throw invalid(source, 'order.from', 'must be higher for hard than for moderate')
  const unknown = [...Object.values(ordered).flat(), ...priced].find(
    (each) => each !== 'mesh' && !rules.elsewhere.includes(each),
  )
  if (unknown !== undefined) throw invalid(source, 'order', `names the model ${unknown}, which elsewhere does not`)
  const stray = rules.rules.flatMap(({ models = [] }) => models).find((each) => !rules.elsewhere.includes(each))
  if (stray !== undefined) throw invalid(source, 'rules', `names the model ${stray}, which elsewhere does not`)
  checkBudgets(rules, source)
  if (rules.judge && rules.elsewhere.includes(rules.judge.model))
    throw invalid(
      source,
      'judge.model',
      `is ${rules.judge.model}, which is elsewhere: it would be sent what may not leave`,
    )
  const open = opening(rules)
  if (open !== undefined)
    throw invalid(source, `rules.${open}`, 'lets secrets leave: a rule before it must block SECRET')
  return rules
}

function checkBudgets({ budgets, rules, elsewhere }: RouterRules, source: string): void {
  const names = budgets.map(({ name: budget }) => budget)
  const twice = names.find((each, index) => names.indexOf(each) !== index)
  if (twice !== undefined) throw invalid(source, 'budgets', `has two budgets named ${twice}`)
  const asked = rules.flatMap(({ when }) => [...(when.within ?? []), ...(when.spent ?? [])])
  const unknown = asked.find((each) => !names.includes(each))
  if (unknown !== undefined) throw invalid(source, 'rules', `asks for the budget ${unknown}, and there is none`)
  const idle = names.find((each) => !asked.includes(each))
  if (idle !== undefined)
    throw invalid(source, 'budgets', `has ${idle}, which no rule asks for: it would limit nothing`)
  const stray = budgets.flatMap(({ models = [] }) => models).find((each) => !elsewhere.includes(each))
  if (stray !== undefined) throw invalid(source, 'budgets', `names the model ${stray}, which elsewhere does not`)
}

/** The first rule that could let a secret out: secrets are never redacted, they block. */
function opening({ rules }: RouterRules): string | undefined {
  for (const { name: rule, when, effect } of rules) {
    const { categories: _, ...conditions } = when
    const isForAll = Object.values(conditions).every((each) => each === undefined)
    const takesSecrets = when.categories === undefined || when.categories.includes('SECRET')
    if (isForAll && takesSecrets && (effect === 'block' || effect === 'local')) return undefined
    if (takesSecrets && (effect === 'redact' || effect === 'allow')) return rule
  }
  return undefined
}

/** The first rule that matches decides. What none matches stays in the mesh. */
export function decideRoute({ rules, elsewhere }: RouterRules, facts: RouteFacts): RouteDecision {
  const rule = rules.find(({ when }) => matches(when, facts))
  if (!rule) return { effect: 'local', rule: 'none', redact: [], models: [] }
  const leaves = rule.effect === 'redact' || rule.effect === 'allow'
  return {
    effect: rule.effect,
    rule: rule.name,
    redact: rule.redact ?? [],
    models: leaves ? (rule.models ?? elsewhere) : [],
  }
}

function matches(when: RouterRules['rules'][number]['when'], facts: RouteFacts): boolean {
  return (
    (when.categories === undefined || overlap(when.categories, facts.categories)) &&
    (when.atLeast === undefined || atLeast(facts.label, when.atLeast)) &&
    (when.atMost === undefined || atLeast(when.atMost, facts.label)) &&
    (when.roles === undefined || overlap(when.roles, facts.roles)) &&
    (when.within === undefined || !overlap(when.within, facts.spent ?? [])) &&
    (when.spent === undefined || overlap(when.spent, facts.spent ?? []))
  )
}

const overlap = <T>(some: readonly T[], others: readonly T[]): boolean => some.some((each) => others.includes(each))

/**
 * What the rules say of a file or folder by its path, relative to the workspace; undefined where they say nothing. The longest path that fits decides;
 * a folder is also as sensitive as what the rules name in it, and a path that leads out of the workspace as the most sensitive that they name at all.
 */
export function sensitivityOfFile({ files }: RouterRules, path: string): Sensitivity | undefined {
  // What `..` leads to depends on links, and an absolute path on where the workspace is.
  if (path.startsWith('/') || path.split('/').includes('..')) return mostSensitive(files)
  const parts = partsOf(path)
  const [longest] = files
    .filter((file) => isUnder(parts, partsOf(file.path)))
    .toSorted((a, b) => partsOf(b.path).length - partsOf(a.path).length)
  const inside = files.filter((file) => file !== longest && isUnder(partsOf(file.path), parts))
  return mostSensitive(longest ? [longest, ...inside] : inside)
}

function mostSensitive(files: RouterRules['files']): Sensitivity | undefined {
  const [highest] = files.toSorted((a, b) => labels.indexOf(b.label) - labels.indexOf(a.label))
  const held = new Set(files.flatMap((file) => file.categories))
  return highest && { label: highest.label, categories: categories.filter((category) => held.has(category)) }
}

const partsOf = (path: string): string[] =>
  posix
    .normalize(path)
    .split('/')
    .filter((part) => part !== '' && part !== '.')

const isUnder = (parts: readonly string[], prefix: readonly string[]): boolean =>
  prefix.every((part, index) => part === parts[index])

function fromYaml(text: string, source: string): unknown {
  try {
    return parse(text, { uniqueKeys: true })
  } catch (cause) {
    throw invalid(source, '', `is not valid YAML: ${(cause as Error).message.split('\n')[0]}`)
  }
}

function invalid(source: string, field: string, reason: string): ClawmeshError {
  return new ClawmeshError('POLICY_INVALID', `${field === '' ? source : `${source}: ${field}`} ${reason}.`, {
    hint: 'Correct the field, or take policies/router.yaml as a start.',
    data: { field },
  })
}
