/** Keys of the gateway on the trail: before they open anything, once, and whoever changed them. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { KeyRecord } from '../../../../nodes/gateway/http/key-record.js'
import { ApiKeys } from '../../../../nodes/gateway/http/keys.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { temporaryFolder } from '../../../kit/mesh.js'

describe('the record of the keys', () => {
  const data = temporaryFolder()
  const by = userInfo().username
  const keys = new ApiKeys(data)
  let written: { kind: string; facts: Record<string, unknown> }[] = []
  let isAway = false
  const open = () =>
    new KeyRecord(data, keys, async (kind, facts) => {
      if (isAway) throw new ClawmeshError('AUDIT_UNAVAILABLE', 'The audit stream is away.')
      written.push({ kind, facts })
    })
  const told = () => {
    const lines = written.map(({ kind, facts }) => [kind, facts['name'], facts['role'], facts['by']])
    written = []
    return lines
  }
  before(() => keys.add('early', 'viewer', Date.now()))
  after(() => rmSync(data, { recursive: true, force: true }))

  it('has what was made before, once, however many ask at the same time', async () => {
    const record = open()
    await Promise.all([record.settle(), record.settle()])
    await open().settle()
    assert.deepEqual(told(), [['key.added', 'early', 'viewer', by]])
  })

  it('has each change, with who made it', async () => {
    const record = open()
    await record.settle()
    new ApiKeys(data).add('ada', 'admin', Date.now(), 60_000)
    new ApiKeys(data).remove('early')
    await record.settle()
    assert.deepEqual(told(), [
      ['key.removed', 'early', 'viewer', by],
      ['key.added', 'ada', 'admin', by],
    ])
  })

  it('settles nothing that the trail did not take, and no key is let in meanwhile', async () => {
    const record = open()
    keys.add('late', 'developer', Date.now())
    isAway = true
    for (let time = 0; time < 2; time += 1) await assert.rejects(record.settle(), { code: 'AUDIT_UNAVAILABLE' })
    isAway = false
    await record.settle()
    assert.deepEqual(told(), [['key.added', 'late', 'developer', by]])
  })

  it('has what was changed by hand under the same hash, once', async () => {
    const record = open()
    await record.settle()
    const [first, ...others] = keys.list()
    const change = (more: object) =>
      writeFileSync(keys.file, JSON.stringify({ keys: [{ ...first, ...more }, ...others] }))
    change({ role: 'viewer' })
    assert.equal(record.isSettled(), false)
    await record.settle()
    const end = Date.now() + 120_000
    change({ role: 'viewer', expires: end })
    await record.settle()
    assert.deepEqual(
      written.map(({ facts }) => facts['expires']),
      [first?.expires, end],
    )
    await open().settle()
    assert.deepEqual(told(), [
      ['key.added', 'ada', 'viewer', by],
      ['key.added', 'ada', 'viewer', by],
    ])
  })

  it('writes all down again where it cannot read what it has written, and keeps nobody out', async () => {
    const file = join(data, 'gateway-keys.recorded.json')
    const before = readFileSync(file, 'utf8')
    for (const damaged of ['', before.slice(0, -5), '{}', '[{}]']) {
      writeFileSync(file, damaged)
      await open().settle()
      assert.deepEqual(
        told().map(([, name]) => name),
        ['ada', 'late'],
        damaged,
      )
      assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')).length, 2)
    }
  })

  it('never has a key, nor its whole hash', async () => {
    const key = keys.add('secret', 'developer', Date.now())
    await open().settle()
    const text = JSON.stringify(written)
    assert.ok(!text.includes(key))
    assert.ok(keys.list().every(({ hash }) => !text.includes(hash)))
  })
})
