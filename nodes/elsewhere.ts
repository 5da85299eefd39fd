/**
 * Models outside the mesh, as an actor of the one node that holds their keys. Whoever asks has judged the prompt already; here it is judged again, by the
 * rules of the mesh, so that a node which does not, or says less than it knows, sends nothing more for it.
 *
 *     await serveElsewhere(node, { rules: readRouterRules().text, store: new ProviderStore(path, key) })
 */
import { join } from 'node:path'
import { z } from 'zod'
import { type GenerateEvent, generateEventSchema, generateRequestSchema } from '../inference/backend.js'
import { billed, mostTokens } from '../inference/service.js'
import { actor, type Context, type MeshNode, message, type NodeInfo, on, type Self } from '../mesh/index.js'
import type { Authority } from '../mesh/seal/authority.js'
import { digest, utf8 } from '../mesh/seal/keys.js'
import type { Role } from '../policies/roles.js'
import { parseRouterRules } from '../policies/router.js'
import { sensitivitySchema } from '../policies/router-label.js'
import type { Egress } from '../router/egress/egress.js'
import { Spending } from '../router/egress/spending.js'
import { isUnanswered } from '../router/egress/unanswered.js'
import type { Opinion } from '../router/opinion.js'
import { ProviderStore } from '../router/provider/store.js'
import type { Router } from '../router/router.js'
import type { RouterSession } from '../router/session.js'
import { taggerOf } from './tagger.js'

const holders: readonly Role[] = ['authority', 'router']

export const AskElsewhere = message('elsewhere.ask', {
  request: z.object({
    /** `provider/model` */
    model: z.string(),
    request: generateRequestSchema,
    /** Of the whole line of work that the request belongs to. */
    seen: sensitivitySchema,
    /** Who asks, as the audit trail names it. */
    actor: z.string(),
  }),
  item: generateEventSchema,
  from: ['supervisor', 'gateway'],
  granted: {
    roles: ['worker'],
    use: ({ model, request }) => ({ can: 'think', on: model, tokens: mostTokens(request) }),
  },
  to: holders,
})

export const elsewhereName = (node: string) => `elsewhere/${node}`

/** What the holder says of itself: which models it can ask, and the rules of the mesh, which every node labels and decides by. */
const advertSchema = z.object({ models: z.array(z.string()), rules: z.string() })
export type Elsewhere = z.output<typeof advertSchema> & { readonly holder: string }

/** The node that holds the keys; undefined where there is none. Nobody else can say so of itself. */
export const holderOf = (node: MeshNode): Elsewhere | undefined => elsewhereOf(node.nodes())

export function elsewhereOf(nodes: readonly NodeInfo[]): Elsewhere | undefined {
  for (const { name, roles, draining, advert } of nodes) {
    // Looked at for each prompt: what most nodes do not say need not be parsed to know it.
    if (advert['elsewhere'] === undefined || draining || !roles.some((role) => holders.includes(role))) continue
    const said = advertSchema.safeParse(advert['elsewhere'])
    if (said.success) return { ...said.data, holder: name }
  }
  return undefined
}

/** Sessions that are remembered. Of one that is forgotten the pseudonyms are made anew; its label travels with each question. */
const mostSessions = 1000

export interface ElsewhereOptions {
  /** The rules of the mesh, YAML. */
  readonly rules: string
  /** Without a provider in it nothing leaves, and the rules label all the same. */
  readonly store?: ProviderStore
  /** The file in which it is written down what the budgets of the rules have given. */
  readonly spending?: string
  /** Asks the judging model of the rules. */
  readonly opinion?: Opinion
  /** Told what a person should know of how the keys are held. */
  readonly progress?: (text: string) => void
}

/** @throws ClawmeshError POLICY_INVALID for rules that cannot be kept, and as ProviderStore.read does */
export async function serveElsewhere(node: MeshNode, options: ElsewhereOptions): Promise<void> {
  const { rules: text, store, spending, opinion, progress } = options
  const rules = parseRouterRules(text, 'the router rules of the mesh')
  const models: string[] = []
  if (store && store.read().size > 0) {
    // Loaded where there is a way out: the tables of the detectors would be a part of every start.
    const [{ Egress }, { Router }, { confined }] = await Promise.all([
      import('../router/egress/egress.js'),
      import('../router/router.js'),
      import('./keys/confined.js'),
    ])
    const name = elsewhereName(node.name)
    const egress = Egress.open(store, confined(node, { actor: name, progress }))
    models.push(...egress.models.filter((model) => rules.elsewhere.includes(model)))
    const router = new Router({
      ...{ rules, egress, audit: node.audit, tagger: taggerOf(rules) },
      ...(spending !== undefined && { spending: ledgerAt(spending) }),
      ...(opinion && { opinion }),
    })
    await node.spawn(elsewhere(router, egress), { as: name })
    // What nothing may go to need not be there; what may be asked is there when it is first asked.
    if (models.length > 0) void egress.ready().catch(() => undefined)
  }
  await node.directory.describe({ elsewhere: { models, rules: text } })
}

function elsewhere(router: Router, egress: Egress) {
  const sessions = new Map<string, RouterSession>()
  const sessionOf = ({ sender, trace }: Context): RouterSession => {
    // What belongs to no task has nothing in common.
    if (trace === '') return router.open(trace)
    const key = `${sender.node}\0${trace}`
    const session = sessions.get(key) ?? router.open(trace)
    sessions.delete(key)
    sessions.set(key, session)
    for (const oldest of sessions.keys()) if (sessions.size > mostSessions) sessions.delete(oldest)
    return session
  }
  async function* answer(
    asked: z.output<typeof AskElsewhere.request>,
    context: Context,
  ): AsyncGenerator<GenerateEvent> {
    const { sender, trace, signal } = context
    const [provider = '', ...rest] = asked.model.split('/')
    const session = sessionOf(context)
    session.raise(asked.seen)
    const asker = { roles: sender.roles, actor: asked.actor, trace }
    const events = router.ask(session, asked.request, asker, { provider, model: rest.join('/') }, signal)
    for await (const event of billed(events, context, isUnanswered))
      yield event.type === 'done' ? { ...event, usage: event.usage && { ...event.usage } } : event
  }
  const start = ({ signal }: Self) => {
    signal.addEventListener('abort', () => egress.close(), { once: true })
    return [on(AskElsewhere, answer)]
  }
  return actor('elsewhere', start, { args: z.unknown(), concurrency: 64 })
}

/** Opened when it is first asked for, and tried again where that failed. */
function ledgerAt(path: string): () => Spending {
  let opened: Spending | undefined
  return () => {
    opened ??= Spending.open(path)
    return opened
  }
}

export const providersFile = (data: string): string => join(data, 'providers.sealed')

/** The key store of the mesh in this data folder. */
export const providerStore = (data: string, { root }: Authority): ProviderStore =>
  new ProviderStore(providersFile(data), digest(utf8('clawmesh providers 1\0'), root.secretKey))
