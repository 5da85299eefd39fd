/** What the routes of the REST API do: each asks the mesh, none decides anything by itself. */
import type { FastifyRequest } from 'fastify'
import type { MeshNode } from '../../../mesh/index.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { readDocument } from '../../../policies/document.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { explain } from '../../../policies/explain.js'
import { type People, whyRefused } from '../../../policies/people.js'
import { presetNames } from '../../../sandbox/index.js'
import { readPolicy } from '../../../sandbox/preset.js'
import type { Workspace } from '../../../sandbox/workspace.js'
import { isQuestion } from '../../agents/agent/journal.js'
import { readPrices } from '../../agents/model/costs.js'
import { approvalsName, DecideApproval, FollowApprovals, ListApprovals, RevokeGrant } from '../../approvals/messages.js'
import type { PolicyBook } from '../../authority/policy-book.js'
import type { DataSubject } from '../../data-subject.js'
import { rosterOf } from '../../roster.js'
import type { Handlers } from '../call.js'
import type { Guard } from '../http/guard.js'
import type { Principal } from '../http/keys.js'
import { Forbidden } from '../http/refusal.js'
import { lastNumber, lastSeen, Slots, sendEvents } from '../http/stream.js'
import { type Route, routeNames, ruleOn } from '../route.js'
import { costsOf } from './costs.js'
import { presets, versionsOf } from './policies.js'
import type { TaskRuns } from './tasks.js'
import { Trail, type TrailSource } from './trail.js'
import { nodesOf } from './view.js'

/** What a gateway on the machine of the authority has beside its node. */
export interface Site {
  tasks: Tasks
  trail: TrailSource
  /** The versions of the mesh's policy. */
  policies: PolicyBook
  /** The folder that requests are about, if the mesh offers one. */
  workspace: Workspace | undefined
}

export interface RestOptions {
  node: MeshNode
  guard: Guard
  people: () => People
  site: Site | undefined
  runs: TaskRuns | undefined
  /** Whom it is about what a key asks for; undefined where there is no authority. */
  aboutCaller: (key: string | undefined) => DataSubject | undefined
  closing: AbortSignal
}

type RestRoute = Exclude<
  Route,
  | 'GET /'
  | 'GET /console/:name'
  | 'GET /healthz'
  | 'GET /readyz'
  | 'GET /metrics'
  | 'GET /openapi.json'
  | 'GET /v1/models'
  | 'POST /v1/chat/completions'
  | 'POST /v1/completions'
  | 'POST /v1/embeddings'
  | 'POST /mcp'
  | 'GET /mcp'
  | 'DELETE /mcp'
>

const followMs = 24 * 60 * 60 * 1000

export function restOf({
  node,
  guard,
  people,
  site,
  runs,
  aboutCaller,
  closing,
}: RestOptions): Pick<Handlers, RestRoute> {
  const book = site?.policies
  const trail = site && new Trail(site.trail, closing)
  const approvals = node.ref(approvalsName)
  const slots = new Slots()
  const follow = (request: FastifyRequest, reply: Parameters<typeof sendEvents>[0]['reply']) => ({
    request,
    reply,
    closing,
    slots,
    check: () => void guard.again(request),
  })
  const findQuestion = async (id: string) => {
    const { questions } = await approvals.ask(ListApprovals, { state: 'all' })
    return found(
      questions.find((view) => view.id === id),
      `There is no question ${id}.`,
    )
  }
  /** A body may have been long in coming: whose key was removed meanwhile decides nothing. */
  const person = (request: FastifyRequest) => guard.again(request).name

  return {
    'GET /v1/whoami': ({ request }) => whoami(principalOf(request), people()),
    'GET /v1/nodes': () => nodesOf(node),
    'GET /v1/agents': () => rosterOf(node.directory),

    'POST /v1/tasks': async ({ body, request, reply }) => {
      const { request: words, ...allowed } = body
      const id = await here(runs).begin(words, aboutCaller(request.principal?.name), allowed)
      reply.code(202)
      return { id }
    },
    'GET /v1/tasks': async () => ({ tasks: await here(site).tasks.list() }),
    'GET /v1/tasks/:id': ({ params }) => here(runs).find(params.id),
    'GET /v1/tasks/:id/events': async ({ params, request, reply }) => {
      const after = lastNumber(request, -1)
      // Before a stream is opened: what there is not is an answer of its own, however long it takes to find that out.
      await here(site).tasks.length(params.id)
      return sendEvents(follow(request, reply), async function* (signal) {
        for await (const { number, record } of here(site).tasks.follow(params.id, after, signal))
          yield { id: String(number), data: record }
      })
    },
    'POST /v1/tasks/:id/cancel': ({ params, request }) => here(runs).cancel(params.id, person(request)),
    'POST /v1/tasks/:id/settle': async ({ params, body, request }) => {
      await here(runs).find(params.id)
      checkSettling(people(), guard.again(request), params.id, body.step)
      const verdict = body.as === 'again' ? 'again' : { done: body.result ?? null }
      return here(runs).settle(params.id, body.step, verdict, person(request))
    },

    'GET /v1/approvals': ({ query }) => approvals.ask(ListApprovals, query),
    'GET /v1/approvals/events': ({ query, request, reply }) => {
      const asked = { after: lastNumber(request, 0), ...(query.task === undefined ? {} : { task: query.task }) }
      return sendEvents(follow(request, reply), async function* (signal) {
        const views = approvals.stream(FollowApprovals, asked, { signal, timeoutMs: followMs })
        for await (const view of views) yield { id: String(view.revision), data: view }
      })
    },
    'GET /v1/approvals/:id': ({ params }) => findQuestion(params.id),
    'POST /v1/approvals/:id': ({ params, body, request }) =>
      approvals.ask(DecideApproval, { id: params.id, decision: body, by: person(request) }),
    'POST /v1/approvals/:id/revoke': async ({ params, request }) => {
      await approvals.ask(RevokeGrant, { id: params.id, by: person(request) })
      return {}
    },

    'GET /v1/audit': ({ query: { limit, from, until, ...filter } }) =>
      here(trail).query(
        {
          ...filter,
          ...(from === undefined ? {} : { from: Date.parse(from) }),
          ...(until === undefined ? {} : { until: Date.parse(until) }),
        },
        limit,
      ),
    'GET /v1/audit/events': ({ query, request, reply }) => {
      const after = lastSeen(request)
      return sendEvents(follow(request, reply), async function* (signal) {
        for await (const event of here(trail).follow(after, query, signal)) yield { id: event.id, data: event }
      })
    },

    'GET /v1/costs': async () => {
      const { events, since } = await here(trail).query({ kind: 'model.used' }, Number.POSITIVE_INFINITY)
      return costsOf(events, since, readPrices())
    },

    'GET /v1/policies': presets,
    'GET /v1/policies/versions': () => versionsOf(here(book), node),
    'GET /v1/policies/:name/explain': async ({ params, query: { kind, path, workspace } }) => {
      const names = await presetNames()
      const name = found(
        names.find((one) => one === params.name),
        `There is no policy ${params.name}.`,
      )
      const { text } = await readPolicy(name)
      return explain(readDocument(text, name), { kind, path }, workspace)
    },
  }
}

const whoami = ({ name, role }: Principal, people: People) => ({
  name,
  role,
  routes: routeNames.filter((route) => ruleOn(people, { name, role }, route).allowed),
})

function principalOf({ principal }: FastifyRequest): Principal {
  if (principal) return principal
  throw new ClawmeshError('UNAUTHENTIC', 'Nobody has said who asks.')
}

/** To answer what the run of an agent asks is to answer a held action; whoever may say what became of a step need not be let do that. Throws 403. */
function checkSettling(people: People, who: Principal, task: string, step: string): void {
  const ruling = isQuestion(step)
    ? people.decide(who, 'answerApproval', { type: 'Question', id: `${task}/${step}` })
    : people.decide(who, 'settleTask', { type: 'Task', id: task })
  if (ruling.allowed) return
  const what = isQuestion(step) ? 'answer what a run asks' : 'say what became of a step'
  throw new Forbidden(`A key with the role ${who.role} may not ${what}: ${whyRefused(ruling)}.`)
}

function here<T>(part: T | undefined): T {
  if (part !== undefined) return part
  throw new ClawmeshError('UNREACHABLE', 'This gateway does not run where the authority is.', {
    hint: 'Ask the gateway of `clawmesh up`.',
  })
}

function found<T>(one: T | undefined, why: string): T {
  if (one !== undefined) return one
  throw new ClawmeshError('NOT_FOUND', why)
}
