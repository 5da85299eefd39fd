/**
 * A truth table of router rules: what they are meant to decide, written down beside them and held to it. Pure.
 *
 *     cases:
 *       - { label: INTERNAL, categories: [], spent: [day], expect: local, rule: none }
 */
import { z } from 'zod'
import { complexities, complexityOf, inOrder, weigh } from './complexity.js'
import { type Document, invalid, parseDocumentAs } from './document.js'
import { preferenceOf } from './preference.js'
import { roles } from './roles.js'
import { decideRoute, effects, type RouterRules } from './router.js'
import { categories, labels } from './router-label.js'

const models = z.array(z.string().min(1))

const schema = z.strictObject({
  /** Taken for the rules' own; so are the lists of `order`. */
  elsewhere: models.optional(),
  lists: z.partialRecord(z.enum(complexities), models).default({}),
  /** Whom `auto` asks first; `mesh` is any model of the mesh. */
  order: z
    .array(
      z.strictObject({
        asked: z.string(),
        tools: z.int().nonnegative(),
        expect: z.enum(complexities),
        first: z.string().min(1),
      }),
    )
    .default([]),
  cases: z.array(
    z.strictObject({
      label: z.enum(labels),
      categories: z.array(z.enum(categories)),
      roles: z.array(z.enum(roles)).default([]),
      /** Budgets of which less is left than the question may take. */
      spent: z.array(z.string()).default([]),
      expect: z.enum(effects),
      rule: z.string(),
      /** Those elsewhere that may see it; left out, whichever they are. */
      models: models.optional(),
    }),
  ),
})

export interface RouterRow {
  readonly line: number
  /** What the row is about, in words. */
  readonly about: string
  readonly expected: string
  readonly answer: string
}

/** As many tokens as an agent asks for unless it says otherwise. */
const usualAnswer = 800

/** Every row with what the rules really decide; the table holds where the two are the same. Throws POLICY_INVALID for the table. */
export function runRouterTable(given: RouterRules, table: Document): RouterRow[] {
  const { elsewhere = given.elsewhere, lists, order, cases } = parseDocumentAs(table, schema)
  const rules: RouterRules = { ...given, elsewhere, order: { ...given.order, ...stated(lists) } }
  return [
    ...order.map((row, index) => ({ line: table.lineOf(['order', index]), ...orderOf(rules, row) })),
    ...cases.map((row, index) => {
      const line = table.lineOf(['cases', index])
      const stray = row.spent.find((each) => !rules.budgets.some(({ name }) => name === each))
      if (stray !== undefined)
        throw invalid(table.source, line, 'spent', `names ${stray}, and the rules have no such budget`)
      const decision = decideRoute(rules, row)
      const said = (effect: string, rule: string, seen: readonly string[]): string =>
        `${effect} by ${rule}${row.models ? ` for ${seen.join(', ') || 'none'}` : ''}`
      return {
        line,
        about: aboutOf(row),
        expected: said(row.expect, row.rule, row.models ?? []),
        answer: said(decision.effect, decision.rule, decision.models),
      }
    }),
  ]
}

type Table = z.output<typeof schema>

/** Without the fields that are not there, which would otherwise take the place of those that are. */
const stated = (lists: Table['lists']) =>
  Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined)) as Partial<RouterRules['order']>

function orderOf({ order, elsewhere }: RouterRules, { asked, tools, expect, first }: Table['order'][number]) {
  const weight = weigh({ messages: [{ content: asked }], tools, maxTokens: usualAnswer })
  const able = [
    ...elsewhere.map((model) => ({ model, zone: 'elsewhere' as const })),
    { model: 'mesh', zone: 'mesh' as const },
  ]
  const [chosen] = inOrder(preferenceOf(order, weight).models, able)
  return {
    about: `"${asked.replaceAll('\n', ' ')}"`,
    expected: `${expect}, ${first} first`,
    answer: `${complexityOf(weight, order.from)}, ${chosen?.model ?? 'nobody'} first`,
  }
}

const aboutOf = ({ label, categories: held, roles: askers, spent }: Table['cases'][number]): string =>
  [
    [label, ...held].join(' '),
    ...(askers.length > 0 ? [`asked by ${askers.join(', ')}`] : []),
    ...(spent.length > 0 ? [`with ${spent.join(', ')} spent`] : []),
  ].join(', ')
