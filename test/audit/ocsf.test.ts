/**
 * The OCSF form of events, held against what the published schema, version 1.8.0, requires of the two classes that are used. The tables are written here by
 * hand from it (events/base_event, events/application/*, objects/*), so that mapping and test cannot err together.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
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

/** Of every event: attribute → JSON type. */
const required = {
  activity_id: 'number',
  category_uid: 'number',
  class_uid: 'number',
  metadata: 'object',
  severity_id: 'number',
  time: 'number',
  type_uid: 'number',
}
const allowed = [
  'activity_name',
  'category_name',
  'class_name',
  'message',
  'raw_data',
  'severity',
  'type_name',
  'unmapped',
]

interface Class {
  name: string
  category: number
  required: Record<string, string>
  activities: Record<number, string>
}

const classes: Record<number, Class> = {
  6002: {
    name: 'Application Lifecycle',
    category: 6,
    required: { app: 'object' },
    activities: {
      1: 'Install',
      2: 'Remove',
      3: 'Start',
      4: 'Stop',
      5: 'Restart',
      6: 'Enable',
      7: 'Disable',
      8: 'Update',
    },
  },
  6003: {
    name: 'API Activity',
    category: 6,
    required: { actor: 'object', api: 'object', src_endpoint: 'object' },
    activities: { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete' },
  },
}

/** Of each object: what it must have, one of which it must have, and what else of it we use. */
const objects: Record<string, { required?: string[]; oneOf?: string[]; known: string[] }> = {
  metadata: {
    required: ['product', 'version'],
    known: ['product', 'version', 'uid', 'event_code', 'sequence', 'log_name', 'original_time', 'correlation_uid'],
  },
  app: { oneOf: ['name', 'uid'], known: ['name', 'uid'] },
  actor: {
    oneOf: ['process', 'user', 'invoked_by', 'session', 'app_name', 'app_uid'],
    known: ['app_name', 'app_uid'],
  },
  api: { required: ['operation'], known: ['operation'] },
  src_endpoint: { oneOf: ['ip', 'uid', 'name', 'hostname', 'svc_name', 'domain'], known: ['name', 'uid'] },
  product: { oneOf: ['name', 'uid'], known: ['name', 'vendor_name', 'version'] },
}

const severities: Record<number, string> = { 1: 'Informational', 2: 'Low', 3: 'Medium' }

function validate(event: Json): void {
  const of = classes[event['class_uid'] as number]
  assert.ok(of, `class ${event['class_uid']}`)
  for (const [name, type] of Object.entries({ ...required, ...of.required }))
    assert.equal(typeof event[name], type, `${name} of ${JSON.stringify(event)}`)
  const may = new Set([...Object.keys(required), ...Object.keys(of.required), ...allowed])
  for (const name of Object.keys(event)) assert.ok(may.has(name), `${name} is no attribute of ${of.name}`)
  const { activity_id: activity, activity_name: said } = event as { activity_id: number; activity_name: string }
  assert.equal(event['category_uid'], of.category)
  assert.equal(event['class_name'], of.name)
  assert.equal(event['type_uid'], (event['class_uid'] as number) * 100 + activity)
  assert.equal(event['type_name'], `${of.name}: ${said}`)
  assert.equal(event['severity'], severities[event['severity_id'] as number])
  if (activity === 99) assert.ok(!Object.values(of.activities).includes(said), `${said} has a number of its own`)
  else assert.equal(of.activities[activity], said)
  for (const name of ['metadata', ...Object.keys(of.required)]) object(name, event[name] as Json)
  object('product', (event['metadata'] as Json)['product'] as Json)
  assert.equal((event['metadata'] as Json)['version'], '1.8.0')
}

function object(name: string, value: Json): void {
  const { required: must = [], oneOf = [], known } = objects[name] ?? { known: [] }
  for (const attribute of must) assert.ok(attribute in value, `${name}.${attribute}`)
  if (oneOf.length > 0)
    assert.ok(
      oneOf.some((attribute) => attribute in value),
      `${name} has none of ${oneOf}`,
    )
  for (const attribute of Object.keys(value)) assert.ok(known.includes(attribute), `${name}.${attribute}`)
}

async function linesOf(kinds: readonly EventKind[]): Promise<{ kind: EventKind; line: Json }[]> {
  const authority = createAuthority()
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const log = new MemoryBroker().connect().log(addresses.auditStream)
  const credentials = enrol(authority, { name: 'one', roles: ['worker'] }, Date.now())
  const writer = new AuditWriter({ credentials, addresses, log, chain: memoryChain(), now: Date.now })
  for (const [n, kind] of kinds.entries())
    await writer.record({ kind, trace: n % 2 === 0 ? 'task-1' : '', actor: 'worker-1', facts: { name: 'a', n } })
  assert.ok(await writer.flush(5000))
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
