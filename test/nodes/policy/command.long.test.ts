/** `clawmesh policy apply`, `diff`, `history` and `rollback` of a mesh that does not run; test/nodes/service has one that does. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { PolicyBook } from '../../../nodes/authority/policy-book.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { command } from '../command.js'

describe('clawmesh policy', () => {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const strict = join(folder, 'strict.yaml')
  before(() => {
    openAuthority(join(data, 'authority'), Date.now())
    writeFileSync(strict, 'ask: [{ read: . }]\nlimits: { wall_ms: 5000 }\n')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const policy = (...args: string[]) => command('policy', ...args, '--data', data)
  const json = async (...args: string[]) => {
    const { stdout, stderr } = await policy(...args, '--json')
    assert.notEqual(stdout, '', stderr)
    return JSON.parse(stdout)
  }

  it('never replaces a valid one by one that does not hold, to its grammar or to its table', async () => {
    writeFileSync(join(folder, 'broken.yaml'), 'limits: { wall: 3 }')
    writeFileSync(join(folder, 'wrong.yaml'), '{}')
    const row = '{ read: /w/a, expect: allow }'
    writeFileSync(join(folder, 'wrong.test.yaml'), `workspace: /w\ncases: [${Array(5).fill(row).join(', ')}]`)
    for (const [name, says] of [
      ['broken', /limits\.wall is not a known field/],
      ['wrong', /does not hold to its truth table: read \/w\/a is deny, not allow/],
    ] as const) {
      const { status, stderr } = await policy('apply', join(folder, `${name}.yaml`))
      assert.equal(status, 2)
      assert.match(stderr, says)
    }
  })

  it('is told apart, gone back to, and kept as a history that nobody can change', async () => {
    await json('apply', strict, '--reason', 'an audit')
    assert.deepEqual(await json('apply', 'none'), { ok: true, version: 2, running: false })
    const { changes } = await json('diff')
    assert.deepEqual(
      changes.map(({ field, looser }: { field: string; looser: boolean }) => [field, looser]),
      [
        ['ask', false],
        ['limits.cpu_seconds', false],
        ['limits.output_bytes', false],
      ],
    )
    const explained = await json('explain', 'write notes.txt', '--workspace', folder)
    assert.deepEqual([explained.policy, explained.answer], ['version 2 (none)', 'deny'])
    assert.equal((await json('rollback')).version, 3)
    const { versions } = await json('history')
    assert.deepEqual(
      versions.map(({ version, name, reason }: Record<string, unknown>) => [version, name, reason]),
      [
        [3, strict, 'back to version 1'],
        [2, 'none', ''],
        [1, strict, 'an audit'],
      ],
    )
    writeFileSync(join(data, 'offer.json'), JSON.stringify({ workspace: folder, policy: 'mesh' }))
    const refusing = await policy('apply', 'code-workspace')
    assert.equal(refusing.status, 0)
    assert.match(refusing.stderr, /Every action in .* is refused under the policy code-workspace: .*\.git/)
    const policies = join(data, 'authority', 'policies')
    const second = join(policies, readdirSync(policies).sort()[1] ?? '')
    const bytes = readFileSync(second)
    bytes[40] = (bytes[40] ?? 0) ^ 1
    writeFileSync(second, bytes)
    const { status } = await policy('history')
    assert.equal(status, 3)
  })

  it('has no version that nobody could read back', () => {
    const kept = join(folder, 'kept')
    const book = new PolicyBook(kept, openAuthority(kept, Date.now()))
    const add = (more: object) => book.add({ name: 'none', text: '{}', by: 'ada', reason: '', ...more }, Date.now())
    for (const long of [{ reason: 'x'.repeat(1025) }, { name: 'x'.repeat(257) }])
      assert.throws(() => add(long), { code: 'USAGE' })
    assert.throws(() => add({ text: `#${'x'.repeat(200_000)}\n{}` }), { code: 'POLICY_INVALID' })
    assert.equal(add({ reason: 'x'.repeat(1024) }).version, 1)
    assert.equal(book.editions().length, 1)
  })

  it('goes above what nodes are seen to have, where the folder was restored from before that', () => {
    const restored = join(folder, 'restored')
    const book = new PolicyBook(restored, openAuthority(restored, Date.now()))
    const add = (seen?: number) =>
      book.add({ name: 'none', text: '{}', by: 'ada', reason: '' }, Date.now(), seen).version
    assert.deepEqual([add(), add(5), add(2), add()], [1, 6, 7, 8])
    assert.deepEqual(
      book.editions().map(({ version }) => version),
      [1, 6, 7, 8],
    )
    const policies = join(restored, 'policies')
    rmSync(join(policies, '000006.edition'))
    assert.throws(() => book.editions(), { code: 'UNAUTHENTIC' })
  })
})
