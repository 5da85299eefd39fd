import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'
import { removeIfEmpty } from '../../sandbox/made.js'
import { loadProfile } from '../../sandbox/preset.js'
import { type Intent, type Question, runTool as runToolBy, type ToolCall } from '../../sandbox/run.js'
import { descendant } from './descendant.js'
import { newStage, pool } from './stage.js'

const runTool = (call: ToolCall) => runToolBy({ pool, ...call })

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
      return { refusedBy: 'Grace' }
    }
    const args = { path: 'sum.txt', text: 'total 12' }
    const outcome = await call('write_note', args, workspace, { ask })
    assert.ok(outcome.status === 'refused')
    assert.match(outcome.reason, /^write_note was not allowed to write .*, by Grace$/)
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

  test('to what the policy names by a link is answered as at that name, by any way there', async () => {
    const { folder, workspace, target } = await newStage('/var/tmp')
    await mkdir(join(folder, 'kept'))
    await symlink(join(folder, 'kept'), join(folder, 'link'))
    const ask = () => assert.fail('nobody is to be asked')
    await symlink(target, join(folder, 'hidden'))
    const prog = join(folder, 'kept', 'prog')
    await writeFile(prog, '', { mode: 0o755 })
    for (const [tool, args, policy] of [
      ['read_file', { path: target }, `{ hidden: ["${folder}/hidden"] }\nask: [{ read: / }]`],
      [
        'write_file',
        { path: join(folder, 'kept', 'a'), text: '' },
        `{ read_only: ["${folder}/link"] }\nask: [{ write: / }]`,
      ],
      [
        'shell',
        { command: ':', executes: [prog] },
        `{ read_only: [/usr, /bin, /lib, /lib64], read_write: ["${folder}/link"] }\nask: [{ execute: / }]`,
      ],
    ] as const) {
      const outcome = await call(tool, args, workspace, { ask, profile: parseProfile(`filesystem_policy: ${policy}`) })
      assert.equal(outcome.status, 'denied', tool)
    }
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

describe('what changes while a person is asked', { concurrency: 2 }, () => {
  const asking = parseProfile('filesystem_policy: { read_only: [.] }\nask: [{ read: / }, { write: / }]')
  const denied = (error: unknown) =>
    error instanceof ClawmeshError &&
    error.code === 'DENIED' &&
    /is not what it was when it was decided on, so nothing was run/.test(error.message) &&
    error.hint !== ''

  /** Two folders with a file each, and one link: the second is where nobody was asked about. */
  async function stage() {
    const { workspace, folder } = await newStage()
    const [asked, other] = [join(workspace, 'asked'), join(folder, 'other')]
    for (const each of [asked, other]) {
      await mkdir(each)
      await writeFile(join(each, 'old.txt'), 'as it was\n')
    }
    return { workspace, asked, other }
  }

  const turns: Record<string, { path: string; turn: (place: { asked: string; other: string }) => Promise<void> }> = {
    'a parent folder that becomes a link, for a file that exists': {
      path: 'asked/old.txt',
      turn: async ({ asked, other }) => {
        await rename(asked, `${asked}.away`)
        await symlink(other, asked)
      },
    },
    'a parent folder that becomes a link, for a new file': {
      path: 'asked/new.txt',
      turn: async ({ asked, other }) => {
        await rename(asked, `${asked}.away`)
        await symlink(other, asked)
      },
    },
    'a file that becomes a link': {
      path: 'asked/old.txt',
      turn: async ({ asked, other }) => {
        await rm(join(asked, 'old.txt'))
        await symlink(join(other, 'old.txt'), join(asked, 'old.txt'))
      },
    },
    'a new file that is a link by then': {
      path: 'asked/new.txt',
      turn: ({ asked, other }) => symlink(join(other, 'new.txt'), join(asked, 'new.txt')),
    },
    'a file that becomes a folder': {
      path: 'asked/old.txt',
      turn: async ({ asked }) => {
        await rm(join(asked, 'old.txt'))
        await mkdir(join(asked, 'old.txt'))
      },
    },
    'a file that becomes another': {
      path: 'asked/old.txt',
      turn: async ({ asked }) => {
        await writeFile(join(asked, 'another'), 'of somebody else')
        await rename(join(asked, 'another'), join(asked, 'old.txt'))
      },
    },
    'a file that is gone': { path: 'asked/old.txt', turn: ({ asked }) => rm(join(asked, 'old.txt')) },
  }
  for (const [name, { path, turn }] of Object.entries(turns))
    test(`${name} is refused`, async () => {
      const { workspace, asked, other } = await stage()
      const ask = async () => {
        await turn({ asked, other })
        return 'allow' as const
      }
      const args = { path, text: 'for the folder that was asked about' }
      await assert.rejects(runTool({ tool: 'write_note', args, workspace, profile: asking, ask }), denied)
      assert.deepEqual(await readdir(other), ['old.txt'])
      assert.equal(await readFile(join(other, 'old.txt'), 'utf8'), 'as it was\n')
    })

  test('a folder of the policy that becomes a link is refused too', async () => {
    const { workspace, asked, other } = await stage()
    const profile = parseProfile('filesystem_policy: { read_only: [./asked] }\nask: [{ write: / }]')
    const ask = async () => {
      await rename(asked, `${asked}.away`)
      await symlink(other, asked)
      return 'allow' as const
    }
    const args = { path: 'new.txt', text: 'x' }
    await assert.rejects(runTool({ tool: 'write_note', args, workspace, profile, ask }), denied)
  })

  test('a folder that turns into a link and back all the time never leads elsewhere', async () => {
    const { workspace, asked, other } = await stage()
    await symlink(other, `${asked}.link`)
    let racing = true
    const race = async () => {
      while (racing) {
        await rename(asked, `${asked}.away`)
        await rename(`${asked}.link`, asked)
        await rename(asked, `${asked}.link`)
        await rename(`${asked}.away`, asked)
      }
    }
    const raced = race()
    const ends = new Set<string>()
    for (let round = 0; round < 40; round += 1) {
      const args = { path: `asked/${round}.txt`, text: 'x' }
      const missing = `${asked}/${round}.txt`
      // The question says where it leads: a yes to anything but the folder that was meant is not given.
      const ask = async ({ missing: [wanted] }: Question) =>
        wanted?.path === missing ? 'allow' : { refusedBy: 'Grace' }
      const end = await runTool({ tool: 'write_note', args, workspace, profile: asking, ask }).then(
        ({ status }) => status,
        (error: unknown) => (error instanceof ClawmeshError ? error.code : String(error)),
      )
      ends.add(end)
    }
    racing = false
    await raced
    assert.deepEqual(await readdir(other), ['old.txt'])
    const expected = ['done', 'refused', 'failed', 'DENIED', 'SANDBOX_FAILED', 'MESSAGE_INVALID']
    assert.deepEqual(
      [...ends].filter((end) => !expected.includes(end)),
      [],
    )
  })

  test('a file that was made and not written is taken away, and no other', async () => {
    const { workspace, other } = await stage()
    const ask = async () => 'allow' as const
    const hasty = { ...asking, limits: { ...asking.limits, wallMs: 1 } }
    const args = { path: 'asked/new.txt', text: 'x' }
    const outcome = await runTool({ tool: 'write_note', args, workspace, profile: hasty, ask })
    assert.ok(outcome.status === 'failed' && outcome.timedOut)
    assert.deepEqual(await readdir(join(workspace, 'asked')), ['old.txt'])

    const path = join(other, 'empty')
    await writeFile(path, '')
    const { dev: device, ino: inode } = await stat(path, { bigint: true })
    await symlink(other, join(workspace, 'leads'))
    await removeIfEmpty({ path: join(workspace, 'leads', 'empty'), device, inode })
    await removeIfEmpty({ path, device, inode: inode + 1n })
    assert.ok((await readdir(other)).includes('empty'))
    await removeIfEmpty({ path, device, inode })
    assert.ok(!(await readdir(other)).includes('empty'))
  })
})

test('the kernel’s own files are denied without a question', async () => {
  const { workspace } = await newStage()
  await symlink('/proc/self/environ', join(workspace, 'innocent.txt'))
  const profile = await loadProfile('ask-first')
  const ask = () => assert.fail('nobody is to be asked')
  for (const path of [
    '/proc/self/environ',
    '/proc/1/environ',
    '/dev/null',
    '/proc/self/root/etc/passwd',
    'innocent.txt',
  ])
    assert.equal((await runTool({ tool: 'read_file', args: { path }, workspace, profile, ask })).status, 'denied', path)
  await assert.rejects(
    runTool({ tool: 'list_files', args: {}, workspace: '/proc', profile }),
    (error) => error instanceof ClawmeshError && error.code === 'WORKSPACE_UNREADABLE',
  )
})

test('a path that is too long is one clear error', async () => {
  const { workspace } = await newStage()
  for (const path of ['x'.repeat(300), `${'x/'.repeat(2040)}x`])
    await assert.rejects(
      runTool({ tool: 'read_file', args: { path }, workspace, profile: research }),
      (error) =>
        error instanceof ClawmeshError &&
        error.code === 'MESSAGE_INVALID' &&
        /longer than/.test(error.message) &&
        error.hint !== '',
    )
  await assert.rejects(
    runTool({ tool: 'list_files', args: {}, workspace: `/${'x'.repeat(300)}`, profile: research }),
    (error) =>
      error instanceof ClawmeshError && error.code === 'WORKSPACE_UNREADABLE' && /longer than/.test(error.message),
  )
})

test('an action that is stopped from outside until its time is over says so, and may be done again', async () => {
  const { workspace } = await newStage()
  await writeFile(join(workspace, 'long.txt'), 'one two three four\n'.repeat(3_000_000))
  const profile = parseProfile('filesystem_policy: { read_only: [.] }\nlimits: { wall_ms: 5000 }')
  const running = runTool({ tool: 'count_words', args: { path: 'long.txt' }, workspace, profile })
  const stopped = assert.rejects(
    running,
    (error) =>
      error instanceof ClawmeshError &&
      error.code === 'DEADLINE' &&
      error.retry &&
      /was stopped from outside/.test(error.message),
  )
  process.kill(await descendant('program.js'), 'SIGSTOP')
  await stopped
})
