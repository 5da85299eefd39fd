/** `clawmesh policy apply`, `diff`, `history` and `rollback`, on a mesh that runs and on one that does not. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { differences } from '../../../policies/difference.js'
import { parseProfile } from '../../../policies/profile.js'
import { Machine } from '../machine.js'

describe('clawmesh policy', () => {
  const home = new Machine()
  const folder = join(home.data, '..')
  const strict = join(folder, 'strict.yaml')
  before(async () => {
    mkdirSync(join(folder, 'workspace'))
    writeFileSync(strict, 'ask: [{ read: . }]\nlimits: { wall_ms: 5000 }\n')
    await home.up('--name', 'home', '--workspace', join(folder, 'workspace'))
  })
  after(() => home.remove())

  const json = async (...args: string[]) => {
    const { stdout, stderr } = await home.do(...args, '--json')
    assert.notEqual(stdout, '', stderr)
    return JSON.parse(stdout)
  }
  const home_ = async () => {
    const { nodes } = await json('nodes')
    return nodes.find(({ name }: { name: string }) => name === 'home')
  }

  it('is applied to a mesh that runs, and nodes say which version they have', async () => {
    assert.equal((await home_()).policy, 'ask-first')
    const applied = await json('policy', 'apply', strict, '--reason', 'an audit')
    assert.deepEqual(applied, { ok: true, version: 1, running: true, nodes: { home: 'taken' } })
    const { policy, drift } = await home_()
    assert.deepEqual([policy, drift], [`${strict} v1`, null])
    await home.stop()
  })

  it('never replaces a valid one by one that does not hold, to its grammar or to its table', async () => {
    writeFileSync(join(folder, 'broken.yaml'), 'limits: { wall: 3 }')
    writeFileSync(join(folder, 'wrong.yaml'), '{}')
    const row = '{ read: /w/a, expect: allow }'
    writeFileSync(join(folder, 'wrong.test.yaml'), `workspace: /w\ncases: [${Array(5).fill(row).join(', ')}]`)
    for (const [name, says] of [
      ['broken', /limits\.wall is not a known field/],
      ['wrong', /does not hold to its truth table: read \/w\/a is deny, not allow/],
    ] as const) {
      const { status, stderr } = await home.do('policy', 'apply', join(folder, `${name}.yaml`))
      assert.equal(status, 2)
      assert.match(stderr, says)
    }
  })

  it('is told apart, gone back to, and kept as a history that nobody can change', async () => {
    assert.equal((await json('policy', 'apply', 'none')).running, false)
    const { changes } = await json('policy', 'diff')
    assert.deepEqual(
      changes.map(({ field, looser }: { field: string; looser: boolean }) => [field, looser]),
      [
        ['ask', false],
        ['limits.cpuSeconds', false],
        ['limits.outputBytes', false],
      ],
    )
    assert.equal((await json('policy', 'rollback')).version, 3)
    const { versions } = await json('policy', 'history')
    assert.deepEqual(
      versions.map(({ version, name, reason }: Record<string, unknown>) => [version, name, reason]),
      [
        [3, strict, 'back to version 1'],
        [2, 'none', ''],
        [1, strict, 'an audit'],
      ],
    )
    const policies = join(home.data, 'authority', 'policies')
    const second = join(policies, readdirSync(policies).sort()[1] ?? '')
    const bytes = readFileSync(second)
    bytes[40] = (bytes[40] ?? 0) ^ 1
    writeFileSync(second, bytes)
    const { status } = await home.do('policy', 'history')
    assert.equal(status, 3)
  })
})

it('a path that is made read-only inside a writable one is stricter, and a limit that grows is looser', () => {
  const before = parseProfile('filesystem_policy: { read_write: [.] }')
  const after = parseProfile('filesystem_policy: { read_write: [.], read_only: [./.git] }\nlimits: { processes: 64 }')
  assert.deepEqual(
    differences(before, after).map(({ field, before: was, after: is, looser }) => [field, was, is, looser]),
    [
      ['limits.processes', '32', '64', true],
      ['read', null, './.git', false],
    ],
  )
})
