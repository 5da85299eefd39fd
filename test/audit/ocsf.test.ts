/** The OCSF form of events, held against the published schema, version 1.8.0, of which the part that is used lies beside this. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { memoryChain } from '../../mesh/audit/chain.js'
import { type EventKind, eventKinds } from '../../mesh/audit/event.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { installation } from '../../mesh/installation.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import { formatNamed } from '../../nodes/audit/format.js'
import { ocsfActivities } from '../../nodes/audit/ocsf.js'
import { readTrail, strictReader } from '../../nodes/audit/read.js'

type Json = Record<string, unknown>

/** "object:product[] required" and so on, as test/audit/ocsf-1.8.0 has it of each attribute. */
const schema = z
  .object({
    version: z.string(),
    classes: z.record(z.string(), z.looseObject({ uid: z.number() })),
    objects: z.record(z.string(), z.looseObject({})),
  })
  .parse(JSON.parse(readFileSync(join(installation, 'test', 'audit', 'ocsf-1.8.0', 'schema.json'), 'utf8')))

const thingSchema = z.looseObject({
  attributes: z.record(z.string(), z.string()),
  constraints: z.object({ at_least_one: z.array(z.string()) }).optional(),
})
const classSchema = thingSchema.extend({
  uid: z.number(),
  caption: z.string(),
  category_uid: z.number(),
  category_name: z.string(),
  enums: z.object({ activity_id: z.record(z.string(), z.string()), severity_id: z.record(z.string(), z.string()) }),
})

const jsonTypes: Record<string, string> = {
  string_t: 'string',
  integer_t: 'number',
  long_t: 'number',
  timestamp_t: 'number',
}

function validate(event: Json): void {
  const found = Object.values(schema.classes).find(({ uid }) => uid === event['class_uid'])
  assert.ok(found, `class ${event['class_uid']}`)
  const of = classSchema.parse(found)
  conforms(of.caption, event, of)
  const { activity_id: activity, activity_name: said } = event as { activity_id: number; activity_name: string }
  assert.equal(event['category_uid'], of.category_uid)
  assert.equal(event['category_name'], of.category_name)
  assert.equal(event['class_name'], of.caption)
  assert.equal(event['type_uid'], of.uid * 100 + activity)
  assert.equal(event['type_name'], `${of.caption}: ${said}`)
  assert.equal(event['severity'], of.enums.severity_id[String(event['severity_id'])])
  const { [activity]: name, ...others } = of.enums.activity_id
  if (activity === 99) assert.ok(!Object.values(others).includes(said), `${said} has a number of its own`)
  else assert.equal(name, said)
  assert.equal((event['metadata'] as Json)['version'], schema.version)
}

/** What is required is there, nothing is there that is not known, and each is of its type. */
function conforms(name: string, value: Json, { attributes, constraints }: z.output<typeof thingSchema>): void {
  for (const [attribute, says] of Object.entries(attributes))
    if (says.endsWith(' required')) assert.ok(attribute in value, `${name}.${attribute} is missing`)
  const some = constraints?.at_least_one
  if (some)
    assert.ok(
      some.some((attribute) => attribute in value),
      `${name} has none of ${some}`,
    )
  for (const [attribute, held] of Object.entries(value)) {
    if (held === undefined) continue
    const [type = ''] = attributes[attribute]?.split(' ') ?? []
    assert.notEqual(type, '', `${name} has no ${attribute}`)
    const [, object] = /^object:(\w+)$/.exec(type) ?? []
    if (object === 'object') assert.equal(typeof held, 'object')
    else if (object) conforms(attribute, held as Json, thingSchema.parse(schema.objects[object]))
    else assert.equal(typeof held, jsonTypes[type], `${name}.${attribute}`)
  }
}

async function linesOf(kinds: readonly EventKind[]): Promise<{ kind: EventKind; line: Json }[]> {
  const authority = createAuthority()
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const log = new MemoryBroker().connect().log(addresses.auditStream)
  const credentials = enrol(authority, { name: 'one', roles: ['worker'] }, Date.now())
  const writer = new AuditWriter({ credentials, addresses, log, chain: memoryChain(), now: Date.now })
  for (const [n, kind] of kinds.entries())
    await writer.record({ kind, trace: n % 2 === 0 ? 'task-1' : '', actor: 'worker-1', facts: { name: 'a', n } })
  assert.ok(await writer.flush(60_000))
  const ocsf = formatNamed('ocsf')
  const lines: { kind: EventKind; line: Json }[] = []
  for await (const events of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) }))
    for (const event of events)
      lines.push({ kind: event.open().kind, line: JSON.parse(JSON.stringify(ocsf.event(event))) as Json })
  return lines
}

describe('an event as OCSF', () => {
  it('has what its class requires and nothing that it does not know, for every kind', async () => {
    const lines = await linesOf(eventKinds)
    assert.deepEqual(
      lines.map(({ kind }) => kind),
      [...eventKinds],
    )
    for (const { line } of lines) validate(line)
    assert.deepEqual([...new Set(lines.map(({ line }) => line['class_uid']))].sort(), [6002, 6003])
  })

  it('names the task, the stream message and the facts', async () => {
    const [{ line } = { line: {} as Json }] = await linesOf(['action.intended'])
    const metadata = line['metadata'] as Json
    assert.deepEqual(
      [metadata['correlation_uid'], metadata['sequence'], metadata['event_code']],
      ['task-1', 1, 'action.intended'],
    )
    assert.deepEqual((line['unmapped'] as Json)['facts'], { name: 'a', n: 0 })
    assert.deepEqual(line['api'], { operation: 'action.intended' })
  })

  it('has a first line of a file that is an event too', () => {
    const opening = { mesh: 'm', after: 0, heads: [] }
    const line = JSON.parse(JSON.stringify(formatNamed('ocsf').opening(opening, Date.now()))) as Json
    validate(line)
    assert.deepEqual(formatNamed('ocsf').read(JSON.stringify(line)), { opening })
  })

  it('is what the table of docs/audit.md says', () => {
    const page = readFileSync(join(installation, 'docs', 'audit.md'), 'utf8')
    const rows = [...page.matchAll(/^\| `([a-z]+\.[a-z]+)` \| (\d+) [^|]+ \| (\d+) ([^|]+?) \| (\w+) \|$/gm)]
    const told = rows.map(([, kind, uid, id, name, severity]) => [kind, Number(uid), Number(id), name, severity])
    const mapped = eventKinds.map((kind) => {
      const { of, id, name, severity } = ocsfActivities[kind]
      return [kind, of.uid, id, name, severity]
    })
    assert.deepEqual(told.sort(), mapped.sort())
  })
})
