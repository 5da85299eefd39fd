/** Every route of the gateway, who may use it, what it takes and gives: the one table that the server, the tests and the documents go by. */
import type { z } from 'zod'
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

/** What an API key may be for. Not the roles of nodes. */
export const gatewayRoles = ['viewer', 'developer', 'operator', 'approver', 'auditor', 'service', 'admin'] as const
export type GatewayRole = (typeof gatewayRoles)[number]

export interface RouteSpec {
  /** `anyone`: also without a key. */
  who: 'anyone' | readonly GatewayRole[]
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

export const workers = ['developer', 'operator', 'service', 'admin'] as const
export const taskReaders = ['developer', 'operator', 'auditor', 'service', 'admin'] as const
export const watchers = ['viewer', 'operator', 'approver', 'auditor', 'admin'] as const
const questionReaders = ['operator', 'approver', 'auditor', 'admin'] as const

export const routes = {
  'GET /': { who: 'anyone', says: 'The console: a page that holds nothing until a key is entered.' },
  'GET /console/:name': { who: 'anyone', says: 'The files of the console.', params: consoleFileSchema },
  'GET /healthz': { who: 'anyone', says: 'That the process lives.' },
  'GET /readyz': { who: 'anyone', says: 'Whether a prompt would find a model; 503 while none is served.' },
  'GET /openapi.json': { who: gatewayRoles, says: 'This document.' },
  'GET /metrics': {
    who: ['viewer', 'operator', 'service', 'admin'],
    says: 'Counters and latencies, as Prometheus reads them.',
  },
  'GET /v1/whoami': { who: gatewayRoles, says: 'Whose key this is, and what it may use.', reply: whoamiSchema },
  'GET /v1/nodes': { who: watchers, says: 'The nodes of the mesh, with hardware and models.', reply: nodesReplySchema },
  'GET /v1/agents': {
    who: watchers,
    says: 'Who works in the mesh now, on which node, and what each node can start.',
    reply: agentsReplySchema,
  },
  'GET /v1/models': {
    who: ['viewer', 'developer', 'operator', 'service', 'admin'],
    says: 'The models that the mesh serves, in the form of the OpenAI API.',
  },
  'POST /v1/chat/completions': {
    who: workers,
    says: 'A chat completion, in the form of the OpenAI API.',
    openai: chatRequestSchema,
  },
  'POST /v1/completions': {
    who: workers,
    says: 'A text completion, in the form of the OpenAI API.',
    openai: textRequestSchema,
  },
  'POST /v1/embeddings': {
    who: workers,
    says: 'Vectors of texts, in the form of the OpenAI API; 404 where no model of the mesh makes them.',
    openai: embeddingRequestSchema,
  },
  'POST /mcp': {
    who: gatewayRoles,
    says: 'Tools and tasks for MCP clients; what each role may use, docs/mcp.md says.',
  },
  'POST /v1/tasks': {
    who: workers,
    says: 'Has the mesh do a request. It goes on whoever looks.',
    body: taskBodySchema,
    reply: begunSchema,
  },
  'GET /v1/tasks': { who: taskReaders, says: 'All tasks, oldest first.', reply: tasksSchema },
  'GET /v1/tasks/:id': {
    who: taskReaders,
    says: 'One task: what was asked, its steps, its outcome.',
    params: byId,
    reply: taskSchema,
  },
  'GET /v1/tasks/:id/events': {
    who: taskReaders,
    says: 'The journal of a task as it is written, until the task has ended.',
    params: byId,
    events: taskEventSchema,
  },
  'POST /v1/tasks/:id/cancel': {
    who: ['developer', 'operator', 'admin'],
    says: 'Ends a task.',
    params: byId,
    reply: taskSchema,
  },
  'POST /v1/tasks/:id/settle': {
    who: ['operator', 'admin'],
    says: 'Says what became of a step in doubt.',
    params: byId,
    body: settleBodySchema,
    reply: taskSchema,
  },
  'GET /v1/approvals': {
    who: questionReaders,
    says: 'Held actions that wait for a person, and answers that stand.',
    query: approvalsQuerySchema,
    reply: approvalsSchema,
  },
  'GET /v1/approvals/events': {
    who: questionReaders,
    says: 'Held actions as they come and are answered.',
    query: approvalEventsQuerySchema,
    events: viewSchema,
  },
  'GET /v1/approvals/:id': {
    who: questionReaders,
    says: 'One held action: by whom, the exact arguments, what a yes adds to the policy.',
    params: byId,
    reply: viewSchema,
  },
  'POST /v1/approvals/:id': {
    who: ['approver', 'admin'],
    says: 'Answers it. 409 if somebody else has, or its time is over.',
    params: byId,
    body: decisionSchema,
    reply: viewSchema,
  },
  'POST /v1/approvals/:id/revoke': {
    who: ['approver', 'admin'],
    says: 'Ends the standing answer that was given to it.',
    params: byId,
  },
  'GET /v1/audit': {
    who: ['auditor', 'admin'],
    says: 'The newest audit events that match, verified.',
    query: auditQuerySchema,
    reply: auditReplySchema,
  },
  'GET /v1/audit/events': {
    who: ['auditor', 'admin'],
    says: 'Audit events as they come, each verified before it is given out.',
    query: auditFollowSchema,
    events: seenEventSchema,
  },
  'GET /v1/costs': {
    who: ['operator', 'auditor', 'admin'],
    says: 'What questions to models cost, of the newest part of the trail: in all, by model, by asker, by time.',
    reply: costsSchema,
  },
  'GET /v1/policies': {
    who: gatewayRoles,
    says: 'The policies that come with clawmesh, each with its truth table.',
    reply: policiesSchema,
  },
  'GET /v1/policies/versions': {
    who: watchers,
    says: "The versions of the mesh's own policy: by whom, why, and what each node made of the newest.",
    reply: policyVersionsSchema,
  },
  'GET /v1/policies/:name/explain': {
    who: gatewayRoles,
    says: 'What a policy answers to one access, and by which line.',
    params: byNameSchema,
    query: explainQuerySchema,
    reply: rulingSchema,
  },
} as const satisfies Record<string, RouteSpec>
export type Route = keyof typeof routes

export const routeNames = Object.keys(routes) as Route[]

export const specOf = (route: Route): RouteSpec => routes[route]

export const isOpen = (route: Route): boolean => routes[route].who === 'anyone'

export function mayUse(role: GatewayRole, route: Route): boolean {
  const { who } = specOf(route)
  return who === 'anyone' || who.includes(role)
}
