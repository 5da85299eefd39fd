import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'
import { loadProfile } from '../../sandbox/preset.js'
import { type Intent, type Question, runTool, type ToolCall } from '../../sandbox/run.js'
import { newStage } from './stage.js'

const research = await loadProfile('read-only-research')

describe('a tool call', { concurrency: 2 }, () => {
  const call = (tool: string, args: Record<string, unknown>, workspace: string, more: Partial<ToolCall> = {}) =>
    runTool({ tool, args, workspace, profile: research, ...more })

  test('that the policy covers runs without a question', async () => {
    const { workspace } = await newStage()
    await writeFile(join(workspace, 'notes.txt'), 'one\ntwo\nthree')
    const ask = () => assert.fail('nobody is to be asked')
    const outcome = await call('count_lines', { path: 'notes.txt' }, workspace, { ask })
    assert.ok(outcome.status === 'done')
    assert.deepEqual(outcome.result, { lines: 3, summary: '3 lines' })
    assert.deepEqual(outcome.granted, [])
    assert.ok(outcome.usage.wallMs > 0 && outcome.usage.maxRssKb > 0)
  })

  test('beyond what may be asked for is denied, and nobody is bothered', async () => {
    const { workspace, target } = await newStage()
    const ask = () => assert.fail('nobody is to be asked')
    const outcome = await call('read_file', { path: target }, workspace, { ask })
    assert.ok(outcome.status === 'denied')
    assert.deepEqual(outcome.missing, [{ kind: 'read', path: target }])
  })

  test('through a link out of the workspace is seen as what it is', async () => {
    const { workspace, target } = await newStage()
    await symlink(target, join(workspace, 'innocent.txt'))
    const outcome = await call('read_file', { path: 'innocent.txt' }, workspace)
    assert.ok(outcome.status === 'denied')
    assert.deepEqual(outcome.missing, [{ kind: 'read', path: target }])
  })

  test('that needs a yes waits for it, and a no leaves nothing behind', async () => {
    const { workspace } = await newStage()
    const questions: Question[] = []
    const ask = async (question: Question) => {
      questions.push(question)
      return 'refuse' as const
    }
    const args = { path: 'sum.txt', text: 'total 12' }
    const outcome = await call('write_note', args, workspace, { ask })
    assert.equal(outcome.status, 'refused')
    assert.deepEqual(questions, [
      { tool: 'write_note', args, workspace, missing: [{ kind: 'write', path: join(workspace, 'sum.txt') }] },
    ])
    assert.deepEqual(await readdir(workspace), [])
    assert.equal((await call('write_note', args, workspace)).status, 'refused', 'with nobody to ask')
  })

  test('that a person allowed does exactly that, once', async () => {
    const { workspace } = await newStage()
    const ask = async () => 'allow' as const
    const outcome = await call('write_note', { path: 'sum.txt', text: 'total 12' }, workspace, { ask })
    assert.ok(outcome.status === 'done')
    assert.deepEqual(outcome.granted, [{ kind: 'write', path: join(workspace, 'sum.txt') }])
    assert.equal(await readFile(join(workspace, 'sum.txt'), 'utf8'), 'total 12\n')
    const again = await call('write_note', { path: 'sum.txt', text: 'more' }, workspace)
    assert.equal(again.status, 'refused')
    assert.equal(await readFile(join(workspace, 'sum.txt'), 'utf8'), 'total 12\n')
  })

  test('is recorded before it runs; when that fails, nothing has happened', async () => {
    const { workspace } = await newStage()
    const intents: Intent[] = []
    const before = async (intent: Intent) => {
      intents.push(intent)
      assert.deepEqual(await readdir(workspace), [])
      throw new ClawmeshError('AUDIT_UNAVAILABLE', 'the stream is down')
    }
    const ask = async () => 'allow' as const
    await assert.rejects(
      call('write_note', { path: 'a.txt', text: 'x' }, workspace, { ask, before }),
      (error) => error instanceof ClawmeshError && error.code === 'AUDIT_UNAVAILABLE',
    )
    assert.equal(intents.length, 1)
    assert.deepEqual(intents[0]?.granted, [{ kind: 'write', path: join(workspace, 'a.txt') }])
    assert.deepEqual(await readdir(workspace), [])
  })

  test('that fails tells why, in words for the person', async () => {
    const { workspace } = await newStage()
    await mkdir(join(workspace, 'folder'))
    await writeFile(join(workspace, 'picture'), Buffer.from([1, 0, 2]))
    const reason = async (tool: string, args: Record<string, unknown>) => {
      const outcome = await call(tool, args, workspace)
      assert.ok(outcome.status === 'failed', outcome.status)
      return outcome.reason
    }
    assert.equal(await reason('read_file', { path: 'gone.txt' }), 'gone.txt does not exist.')
    assert.equal(await reason('count_words', { path: 'picture' }), 'picture is not a text file.')
    assert.equal(await reason('calculate', { expression: '1 / (2 - 2)' }), 'The expression divides by zero.')
  })

  test('that takes too long or prints too much fails with that', async () => {
    const { workspace } = await newStage()
    await writeFile(join(workspace, 'long.txt'), 'x'.repeat(50_000))
    const slow = parseProfile('filesystem_policy: { read_only: [.] }\nlimits: { wall_ms: 1 }')
    const short = parseProfile('filesystem_policy: { read_only: [.] }\nlimits: { output_bytes: 1000 }')
    const late = await call('count_lines', { path: 'long.txt' }, workspace, { profile: slow })
    const loud = await call('read_file', { path: 'long.txt' }, workspace, { profile: short })
    assert.ok(late.status === 'failed' && late.timedOut)
    assert.ok(loud.status === 'failed' && /printed more/.test(loud.reason))
  })

  test('with arguments that the tool does not take is refused before anything', async () => {
    const { workspace } = await newStage()
    const invalid = (tool: string, args: Record<string, unknown>, expected: RegExp) =>
      assert.rejects(
        call(tool, args, workspace),
        (error) => error instanceof ClawmeshError && error.code === 'MESSAGE_INVALID' && expected.test(error.message),
      )
    await invalid('delete_all', {}, /no tool 'delete_all'/)
    await invalid('toString', {}, /no tool/)
    await invalid('read_file', {}, /read_file: path/)
    await invalid('read_file', { path: 'a', mode: 'w' }, /read_file/)
    await invalid('first_lines', { path: 'a', count: 1.5 }, /first_lines: count/)
    await invalid('read_file', { path: 'a\0b' }, /NUL/)
  })

  test('in a workspace that cannot be used says so', async () => {
    const { target, folder } = await newStage()
    for (const workspace of [target, join(folder, 'none'), '/'])
      await assert.rejects(
        call('list_files', {}, workspace),
        (error) => error instanceof ClawmeshError && error.code === 'WORKSPACE_UNREADABLE',
      )
  })
})
