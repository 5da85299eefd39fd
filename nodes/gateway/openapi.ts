/** The OpenAPI document of the gateway, made of the very table and schemas that it runs by. Pure. */
import { z } from 'zod'
import { type People, peopleRoles, someone } from '../../policies/people.js'
import { errorSchema } from './rest/schema.js'
import { isOpen, type RouteSpec, routeNames, ruleOn, specOf } from './route.js'

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): object => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

const json = (schema: object) => ({ content: { 'application/json': { schema } } })

/** `people`: who may use what. */
export function openApi(people: People): object {
  const whoMay = (name: (typeof routeNames)[number]) =>
    isOpen(name) ? undefined : peopleRoles.filter((role) => ruleOn(people, someone(role), name).allowed)
  const paths: Record<string, Record<string, object>> = {}
  for (const name of routeNames) {
    const [method = '', url = ''] = name.split(' ')
    const path = url.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(name, specOf(name), whoMay(name)) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'clawmesh gateway', version: '0.1.0', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: schemaOf(errorSchema, 'output') },
      responses: { Error: { description: 'What went wrong.', ...json({ $ref: '#/components/schemas/Error' }) } },
    },
  }
}

/** `roles`: undefined for a route that is open to anyone. */
function operation(
  name: string,
  { says, params, query, body, openai, reply, events }: RouteSpec,
  roles: string[] | undefined,
) {
  const parameters = [...parametersOf(params, 'path'), ...parametersOf(query, 'query')]
  const lastEventId = { name: 'Last-Event-ID', in: 'header', schema: { type: 'string' } }
  const asked = body ?? openai
  return {
    operationId: name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '_')
      .replace(/_$/, ''),
    summary: says,
    description: roles === undefined ? 'Needs no key.' : `Roles: ${roles.join(', ')}.`,
    ...(roles === undefined ? { security: [] } : { security: [{ key: [] }] }),
    ...(parameters.length > 0 || events ? { parameters: events ? [...parameters, lastEventId] : parameters } : {}),
    ...(asked ? { requestBody: { required: true, ...json(schemaOf(asked, 'input')) } } : {}),
    responses: {
      [name === 'POST /v1/tasks' ? '202' : '200']: {
        description: events ? 'Server-sent events; each is:' : 'Done.',
        ...(reply ? json(schemaOf(reply, 'output')) : {}),
        ...(events ? { content: { 'text/event-stream': { schema: schemaOf(events, 'output') } } } : {}),
      },
      default: { $ref: '#/components/responses/Error' },
    },
  }
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): object[] {
  if (!(schema instanceof z.ZodObject)) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as { properties?: object; required?: string[] }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }))
}
