/** Every route of the gateway, what one must be allowed to use it, what it takes and gives: the one table that the server, the tests and the documents go by. */
import { z } from 'zod'
import { mesh, type People, type PeopleAction, type Person, type Resource, type Ruling } from '../../policies/people.js'
import { decisionSchema, viewSchema } from '../approvals/question.js'
import { chatRequestSchema } from './openai/chat.js'
import { embeddingRequestSchema } from './openai/embedding.js'
import { textRequestSchema } from './openai/text.js'
import {
  agentsReplySchema,
  approvalEventsQuerySchema,
  approvalsQuerySchema,
  approvalsSchema,
  auditFollowSchema,
  auditQuerySchema,
  auditReplySchema,
  begunSchema,
  byId,
  byNameSchema,
  consoleFileSchema,
  costsSchema,
  explainQuerySchema,
  nodesReplySchema,
  policiesSchema,
  policyVersionsSchema,
  rulingSchema,
  seenEventSchema,
  settleBodySchema,
  taskBodySchema,
  taskEventSchema,
  taskSchema,
  tasksSchema,
  whoamiSchema,
} from './rest/schema.js'

export interface RouteSpec {
  /** What `policies/people.cedar` must let one do; nothing, for those that are open to anyone. */
  needs: PeopleAction | 'nothing'
  /** Who may not do that, but this, is let in too: which of the two it takes, the body says, and the handler sees to it. */
  or?: PeopleAction
  /** On what, by its id or name in the path; on the mesh as a whole if left out. */
  on?: Exclude<Resource['type'], 'Mesh'>
  says: string
  params?: z.ZodType
  query?: z.ZodType
  /** Of the body. One that is given as `openai` is checked by its handler, in OpenAI's words. */
  body?: z.ZodType
  openai?: z.ZodType
  reply?: z.ZodType
  /** Each event of a stream. */
  events?: z.ZodType
}

export const routes = {
  'GET /': { needs: 'nothing', says: 'The console: a page that holds nothing until a key is entered.' },
  'GET /console/:name': { needs: 'nothing', says: 'The files of the console.', params: consoleFileSchema },
  'GET /healthz': { needs: 'nothing', says: 'That the process lives.' },
  'GET /readyz': {
    needs: 'nothing',
    says: 'Whether a prompt would find a model; 503 while none is served, or none of them answers.',
  },
  'GET /openapi.json': { needs: 'enter', says: 'This document.' },
  'GET /metrics': {
    needs: 'readMetrics',
    says: 'Counters and latencies, as Prometheus reads them.',
  },
  'GET /v1/whoami': { needs: 'enter', says: 'Whose key this is, and what it may use.', reply: whoamiSchema },
  'GET /v1/nodes': {
    needs: 'readNodes',
    says: 'The nodes of the mesh, with hardware and models.',
    reply: nodesReplySchema,
  },
  'GET /v1/agents': {
    needs: 'readNodes',
    says: 'Who works in the mesh now, on which node, and what each node can start.',
    reply: agentsReplySchema,
  },
  'GET /v1/models': {
    needs: 'readModels',
    says: 'The models that the mesh serves, in the form of the OpenAI API.',
  },
  'POST /v1/chat/completions': {
    needs: 'askModel',
    says: 'A chat completion, in the form of the OpenAI API.',
    openai: chatRequestSchema,
  },
  'POST /v1/completions': {
    needs: 'askModel',
    says: 'A text completion, in the form of the OpenAI API.',
    openai: textRequestSchema,
  },
  'POST /v1/embeddings': {
    needs: 'askModel',
    says: 'Vectors of texts, in the form of the OpenAI API; 404 where no model of the mesh makes them.',
    openai: embeddingRequestSchema,
  },
  'POST /mcp': {
    needs: 'enter',
    says: 'Tools, resources and prompts for MCP clients; what each role may use, docs/mcp.md says.',
  },
  'GET /mcp': { needs: 'enter', says: 'What an MCP session is told of without having asked.' },
  'DELETE /mcp': { needs: 'enter', says: 'Ends an MCP session.' },
  'POST /v1/tasks': {
    needs: 'beginTask',
    says: 'Has the mesh do a request. It goes on whoever looks.',
    body: taskBodySchema,
    reply: begunSchema,
  },
  'GET /v1/tasks': { needs: 'readTasks', says: 'All tasks, oldest first.', reply: tasksSchema },
  'GET /v1/tasks/:id': {
    needs: 'readTasks',
    on: 'Task',
    says: 'One task: what was asked, its steps, its outcome.',
    params: byId,
    reply: taskSchema,
  },
  'GET /v1/tasks/:id/events': {
    needs: 'readTasks',
    on: 'Task',
    says: 'The journal of a task as it is written, until the task has ended.',
    params: byId,
    events: taskEventSchema,
  },
  'POST /v1/tasks/:id/cancel': {
    needs: 'cancelTask',
    on: 'Task',
    says: 'Ends a task.',
    params: byId,
    reply: taskSchema,
  },
  'POST /v1/tasks/:id/settle': {
    needs: 'settleTask',
    or: 'answerApproval',
    on: 'Task',
    says: 'Says what became of a step in doubt, or answers what the run of an agent asks: that takes the right to answer approvals.',
    params: byId,
    body: settleBodySchema,
    reply: taskSchema,
  },
  'GET /v1/approvals': {
    needs: 'readApprovals',
    says: 'Held actions that wait for a person, and answers that stand.',
    query: approvalsQuerySchema,
    reply: approvalsSchema,
  },
  'GET /v1/approvals/events': {
    needs: 'readApprovals',
    says: 'Held actions as they come and are answered.',
    query: approvalEventsQuerySchema,
    events: viewSchema,
  },
  'GET /v1/approvals/:id': {
    needs: 'readApprovals',
    on: 'Question',
    says: 'One held action: by whom, the exact arguments, what a yes adds to the policy.',
    params: byId,
    reply: viewSchema,
  },
  'POST /v1/approvals/:id': {
    needs: 'answerApproval',
    on: 'Question',
    says: 'Answers it. 409 if somebody else has, or its time is over.',
    params: byId,
    body: decisionSchema,
    reply: viewSchema,
  },
  'POST /v1/approvals/:id/revoke': {
    needs: 'answerApproval',
    on: 'Question',
    says: 'Ends the standing answer that was given to it.',
    params: byId,
  },
  'GET /v1/audit': {
    needs: 'readAudit',
    says: 'The newest audit events that match, verified.',
    query: auditQuerySchema,
    reply: auditReplySchema,
  },
  'GET /v1/audit/events': {
    needs: 'readAudit',
    says: 'Audit events as they come, each verified before it is given out.',
    query: auditFollowSchema,
    events: seenEventSchema,
  },
  'GET /v1/costs': {
    needs: 'readCosts',
    says: 'What questions to models cost, of the newest part of the trail: in all, by model, by asker, by time.',
    reply: costsSchema,
  },
  'GET /v1/policies': {
    needs: 'readPolicies',
    says: 'The policies that come with clawmesh, each with its truth table.',
    reply: policiesSchema,
  },
  'GET /v1/policies/versions': {
    needs: 'readPolicies',
    says: "The versions of the mesh's own policy: by whom, why, and what each node made of the newest.",
    reply: policyVersionsSchema,
  },
  'GET /v1/policies/:name/explain': {
    needs: 'readPolicies',
    on: 'Policy',
    says: 'What a policy answers to one access, and by which line.',
    params: byNameSchema,
    query: explainQuerySchema,
    reply: rulingSchema,
  },
} as const satisfies Record<string, RouteSpec>
export type Route = keyof typeof routes

export const routeNames = Object.keys(routes) as Route[]

export const specOf = (route: Route): RouteSpec => routes[route]

export const isOpen = (route: Route): boolean => routes[route].needs === 'nothing'

const namedSchema = z.union([
  z.object({ id: z.string() }).transform(({ id }) => id),
  z.object({ name: z.string() }).transform(({ name }) => name),
])

/** Whether somebody may use a route: with what its path names or, where no `params` are given, in principle. */
export function ruleOn(people: People, who: Person, route: Route, params?: unknown): Ruling {
  const { needs, or, on } = specOf(route)
  if (needs === 'nothing') return { allowed: true, by: [] }
  const resource = on === undefined || params === undefined ? mesh : { type: on, id: namedSchema.parse(params) }
  const ruling = people.decide(who, needs, resource)
  if (ruling.allowed || or === undefined) return ruling
  const other = people.decide(who, or, mesh)
  return other.allowed ? other : ruling
}
