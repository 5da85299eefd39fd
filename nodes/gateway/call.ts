/** One call of a route, with what it was given in the types of the route's schemas. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { type Route, type RouteSpec, type routes, specOf } from './route.js'

type Given<R extends Route, F extends 'params' | 'query' | 'body'> =
  (typeof routes)[R] extends Record<F, infer S extends z.ZodType> ? z.output<S> : undefined

export interface Call<R extends Route> {
  params: Given<R, 'params'>
  query: Given<R, 'query'>
  body: Given<R, 'body'>
  request: FastifyRequest
  reply: FastifyReply
}

/** A JSON answer has the form that the table says; others answer by themselves. */
type Answer<R extends Route> = (typeof routes)[R] extends { reply: infer S extends z.ZodType } ? z.input<S> : unknown

export type Handlers = { [R in Route]: (call: Call<R>) => Answer<R> | Promise<Answer<R>> }

/** Throws MESSAGE_INVALID, and says which part is wrong. */
export function callOf<R extends Route>(route: R, request: FastifyRequest, reply: FastifyReply): Call<R> {
  const spec: RouteSpec = specOf(route)
  const read = (part: 'params' | 'query' | 'body') => {
    const schema = spec[part]
    return schema && parse(schema, request[part], part)
  }
  return { params: read('params'), query: read('query'), body: read('body'), request, reply } as Call<R>
}

function parse(schema: z.ZodType, given: unknown, part: string): unknown {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = [part, ...(issue?.path ?? [])].join('.')
  throw new ClawmeshError(
    'MESSAGE_INVALID',
    `The request cannot be used: ${where}: ${issue?.message ?? 'malformed'}.`,
    {
      hint: 'GET /openapi.json says what each route takes.',
    },
  )
}
