import assert from 'node:assert/strict'
import { mkdir, readFile, realpath, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { type Profile, parseProfile } from '../../policies/profile.js'
import type { Answer } from '../../sandbox/answer.js'
import { Pool } from '../../sandbox/pool.js'
import { loadProfile } from '../../sandbox/preset.js'
import { type Question, runTool } from '../../sandbox/run.js'
import { applyPatch, parseDiff } from '../../sandbox/tools/actions/diff.js'
import { globTest } from '../../sandbox/tools/actions/tree.js'
import { generalTools } from '../../sandbox/tools/general.js'
import { generalActions } from '../../sandbox/tools/general-actions.js'
import { tools } from '../../sandbox/tools/tools.js'
import { newStage, programs } from './stage.js'

const pool = new Pool()
const machine = parseProfile(programs)
const reader = await loadProfile('read-only-research')
const asked = await loadProfile('ask-first')

const files: Record<string, string> = {
  'notes.txt': 'alpha\nbeta\ngamma\n',
  'staff.csv': 'id,name,team\n1,Ada,red\n2,Bo,\n3,"Cy, Jr",blue\n',
  'hours.json': '[{"id":1,"h":7.5},{"id":1,"h":2},{"id":3,"h":9007199254740991}]',
  'log.jsonl': '{"at":{"day":"Mon"},"ok":true}\n{"ok":false}\n',
}

async function filled() {
  const stage = await newStage()
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(stage.workspace, name), text)))
  await mkdir(join(stage.workspace, 'src', 'deep'), { recursive: true })
  await writeFile(join(stage.workspace, 'src', 'deep', 'main.ts'), 'const gamma = 1\n')
  return stage
}

async function use(
  tool: string,
  args: Record<string, unknown>,
  profile: Profile = reader,
  more: {
    ask?: (question: Question) => Promise<Answer>
    before?: (() => Promise<void>) | undefined
    workspace?: string
  } = {},
) {
  const { workspace = (await filled()).workspace, ask, before } = more
  const outcome = await runTool({ tool, args, workspace, profile, pool, ask, before })
  return { workspace, outcome }
}

async function done(...given: Parameters<typeof use>): Promise<Record<string, unknown> & { workspace: string }> {
  const { outcome, workspace } = await use(...given)
  assert.ok(outcome.status === 'done', JSON.stringify(outcome))
  return { ...outcome.result, workspace }
}

describe('general tools', { concurrency: 2 }, () => {
  test('no name is in both sets, and each is its own', () => {
    for (const [name, tool] of Object.entries(generalTools)) assert.equal(tool.name, name)
    assert.deepEqual(
      Object.keys(tools).filter((name) => Object.hasOwn(generalTools, name)),
      [],
    )
    const ours = Object.entries(generalTools).flatMap(([name, { program }]) => (program ? [] : [name]))
    assert.deepEqual(ours.sort(), Object.keys(generalActions).sort())
  })

  test('a program runs where the policy lets it be executed, and its status and both outputs are told', async () => {
    const shell = await done('shell', { command: 'wc -l < notes.txt; echo no >&2; exit 3' }, machine)
    assert.deepEqual([shell.exitCode, shell.output, shell.errors, shell.summary], [3, '3\n', 'no\n', 'status 3'])
    const { outcome } = await use('shell', { command: 'id' }, asked, { ask: async () => 'allow' })
    assert.equal(outcome.status, 'denied')
  })

  test('a program that may be asked for is asked for by its real path, and runs once under a policy that has it and no other', async () => {
    const libraries = 'filesystem_policy: { read_only: [., /lib, /lib64, /usr/lib] }'
    const profile = parseProfile(`${libraries}\nask: [{ execute: /usr/bin }, { execute: . }]`)
    const questions: Question[] = []
    const ask = async (question: Question) => {
      questions.push(question)
      return 'allow' as const
    }
    const args = { command: 'id -u; ls', executes: ['id'] }
    const { outcome } = await use('shell', args, profile, { ask })
    assert.ok(outcome.status === 'done', JSON.stringify(outcome))
    assert.match(String(outcome.result['output']), /^1000\n$/)
    assert.match(String(outcome.result['errors']), /ls: .*not found/)
    const sh = await realpath('/bin/sh')
    assert.deepEqual(questions[0]?.missing, [
      { kind: 'execute', path: sh },
      { kind: 'execute', path: '/usr/bin/id' },
    ])
    const { outcome: refused } = await use('shell', args, profile, { ask: async () => ({ refusedBy: 'Grace' }) })
    assert.equal(refused.status, 'refused')
    const { workspace } = await filled()
    await writeFile(join(workspace, 'own'), '#!/bin/sh\n', { mode: 0o755 })
    const own = { command: './own', executes: [join(workspace, 'own')] }
    const { outcome: denied } = await use('shell', own, profile, { ask, workspace })
    assert.equal(denied.status, 'denied')
  })

  test('what a policy hides inside of what it grants is not to be had, by no way and by no yes', async () => {
    const { workspace } = await filled()
    await mkdir(join(workspace, 'secrets', 'deep'), { recursive: true })
    await Promise.all(['.env', 'secrets/key'].map((name) => writeFile(join(workspace, name), 'hidden words')))
    const text = `filesystem_policy: { include_workdir: true, read_only: [/usr, /bin, /lib, /lib64], hidden: [./.env, ./secrets] }\nask: [{ read: / }, { write: / }]`
    const tries = [
      'cat .env',
      'cat secrets/key',
      'ls secrets',
      'chmod 700 secrets',
      'echo x > .env',
      'mv .env a',
      'mv secrets b',
    ]
    const more = [
      'rm .env',
      'ln .env c',
      'rmdir secrets',
      'echo x > secrets/new',
      'cd secrets && cat key',
      'mkdir secrets/d',
      'truncate -s 0 .env',
    ]
    const questions: Question[] = []
    const ask = async (question: Question) => {
      questions.push(question)
      return 'allow' as const
    }
    const command = [...tries, ...more].map((each) => `(${each}) && echo "done: ${each}"`).join('; ')
    const { outcome } = await use('shell', { command: `${command}; cat notes.txt` }, parseProfile(text), {
      ask,
      workspace,
    })
    assert.ok(outcome.status === 'done', JSON.stringify(outcome))
    assert.equal(outcome.result['output'], files['notes.txt'])
    assert.deepEqual(questions, [])
    assert.equal(await readFile(join(workspace, '.env'), 'utf8'), 'hidden words')
    for (const args of [{ path: '.env' }, { path: 'secrets/key' }])
      assert.equal((await use('count_lines', args, parseProfile(text), { ask, workspace })).outcome.status, 'denied')
    const within = parseProfile(
      'filesystem_policy: { include_workdir: true, hidden: [./secrets], read_only: [./secrets/deep] }',
    )
    await assert.rejects(use('count_lines', { path: 'notes.txt' }, within, { workspace }), /The policy hides .*secrets/)
    const missing = parseProfile('filesystem_policy: { include_workdir: true, hidden: [./none] }')
    await assert.rejects(use('count_lines', { path: 'notes.txt' }, missing, { workspace }), /none hidden inside/)
  })

  test('a program that is asked for is one, and the very one that was shown', async () => {
    const folder = await newStage('/var/tmp').then(({ folder }) => folder)
    const [tool, text] = [join(folder, 'tool'), join(folder, 'text')]
    await writeFile(tool, '#!/bin/sh\necho shown\n', { mode: 0o755 })
    await writeFile(text, 'secret')
    const libraries = 'filesystem_policy: { read_only: [., /bin, /lib, /lib64, /usr] }'
    const profile = parseProfile(`${libraries}\nask: [{ execute: "${folder}" }]`)
    const started = (executes: string, ask: () => Promise<'allow'>, before?: () => Promise<void>) =>
      use('shell', { command: tool.replaceAll(' ', '\\ '), executes: [executes] }, profile, { ask, before })
    for (const none of [folder, text])
      await assert.rejects(
        started(none, () => assert.fail('nobody is to be asked')),
        /is no program/,
      )
    const swap = async () => {
      await writeFile(tool, '#!/bin/sh\necho other\n')
      return 'allow' as const
    }
    await assert.rejects(
      started(tool, swap),
      (error) => error instanceof ClawmeshError && error.code === 'DENIED' && /is not what it was/.test(error.message),
    )
    // After the answer, and whatever has been looked at by then: it is the launcher that knows it by what was asked about.
    const exchanges = [
      () => writeFile(tool, '#!/bin/sh\necho third\n'),
      async () => {
        await writeFile(`${tool}.new`, '#!/bin/sh\necho fourth\n', { mode: 0o755 })
        await rename(`${tool}.new`, tool)
      },
    ]
    for (const before of exchanges)
      await assert.rejects(
        started(tool, async () => 'allow', before),
        {
          code: 'DENIED',
          message: `${tool} is not what it was when it was decided on, so nothing was run.`,
        },
      )
    const { outcome } = await started(tool, async () => 'allow')
    assert.ok(outcome.status === 'done' && outcome.result['output'] === 'fourth\n', JSON.stringify(outcome))
  })

  test('a policy that lists what may be executed lets nothing else be, by the loader neither', async () => {
    const sh = await realpath('/bin/sh')
    const profile = parseProfile(
      `filesystem_policy: { read_only: [., /usr, /bin, /lib, /lib64] }\nexec: [${sh}, /usr/bin/id, /usr/lib, /lib, /lib64]`,
    )
    const loader = `for each in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do [ -e $each ] && $each /usr/bin/env; done`
    const { output, errors } = await done(
      'shell',
      { command: `id -u; env; ${loader}; cat /usr/bin/env > /dev/null` },
      profile,
    )
    assert.equal(output, '1000\n')
    assert.match(String(errors), /env: Permission denied[\s\S]*env: .*(failed to map|Operation not permitted)/)
    const { outcome } = await use('python', { code: 'print(1)' }, profile)
    assert.equal(outcome.status, 'denied')
  })

  test('Python sees no module of the workspace', async () => {
    const { workspace } = await filled()
    await writeFile(join(workspace, 'json.py'), 'print("taken over")\n')
    const { output } = await done('python', { code: 'import json; print(json.dumps([1 + 1]))' }, machine, { workspace })
    assert.equal(output, '[2]\n')
  })

  test('Node needs no grant and gets none: what is outside stays closed', async () => {
    const { workspace, target } = await filled()
    const code = `import { readFileSync } from 'node:fs'
      const text = (path) => { try { return readFileSync(path, 'utf8').length } catch ({ code }) { return code } }
      console.log(text('notes.txt'), text(${JSON.stringify(target)}))`
    assert.equal((await done('node', { code }, reader, { workspace })).output, '17 ENOENT\n')
  })

  test('what a program is to write it names, and a person is asked for exactly that', async () => {
    const questions: Question['missing'][] = []
    const ask = async ({ missing }: Question) => {
      questions.push(missing)
      return 'allow' as const
    }
    const write = (path: string) =>
      `try { (await import('node:fs')).writeFileSync('${path}', 'x') } catch (e) { console.log(e.code) }`
    const { workspace } = await done('node', { code: write('out.txt'), writes: ['out.txt'] }, asked, { ask })
    assert.equal(await readFile(join(workspace, 'out.txt'), 'utf8'), 'x')
    assert.deepEqual(questions, [[{ kind: 'write', path: join(workspace, 'out.txt') }]])
    const undeclared = await done('node', { code: write('other.txt') }, asked, { ask, workspace })
    assert.equal(undeclared.output, 'EROFS\n')
    assert.equal(questions.length, 1)
  })

  test('whoever may touch a part of the workspace only runs no program that could touch all of it', async () => {
    const { workspace } = await filled()
    const read = { tool: 'read_lines', args: { path: 'src/deep/main.ts' } }
    const run = { tool: 'node', args: { code: '1' } }
    const objection = ({ read }: { read: readonly string[] }) =>
      read.every((path) => path.startsWith(join(workspace, 'src'))) ? undefined : 'not there'
    assert.equal((await runTool({ ...read, workspace, profile: reader, pool, objection })).status, 'done')
    assert.equal((await runTool({ ...run, workspace, profile: reader, pool, objection })).status, 'denied')
  })

  test('the policy’s time ends a program', async () => {
    const { outcome } = await use(
      'node',
      { code: 'for (;;);' },
      { ...reader, limits: { ...reader.limits, wallMs: 1000 } },
    )
    assert.ok(outcome.status === 'failed' && outcome.timedOut)
  })

  test('lines, files and texts are found, and no link is followed', async () => {
    const { workspace, folder } = await filled()
    await symlink(folder, join(workspace, 'src', 'out'))
    const some = await done('read_lines', { path: 'notes.txt', from: 2, count: 1 }, reader, { workspace })
    assert.deepEqual([some.text, some.lines, some.next, some.summary], ['beta\n', 3, 3, 'lines 2 to 2 of 3'])
    const found = await done('find_files', { name: '*.ts' }, reader, { workspace })
    assert.deepEqual(found.files, [{ path: 'src/deep/main.ts', bytes: 16 }])
    const lines = await done('search_files', { text: '^.?g.mma', regular_expression: true }, reader, { workspace })
    assert.equal(lines.text, 'notes.txt:3: gamma')
    assert.deepEqual(['a.ts', 'src/a.ts', 'src/x/a.ts'].map(globTest('src/**/*.ts')), [false, true, true])
  })

  test('SQL joins files of several kinds; empty is NULL, and a number that a double cannot hold is exact', async () => {
    const { columns, rows } = await done('query_tables', {
      files: ['staff.csv', 'hours.json'],
      sql: 'SELECT name, team IS NULL AS free, sum(h) AS h FROM staff LEFT JOIN hours USING (id) GROUP BY id',
    })
    assert.deepEqual(columns, ['name', 'free', 'h'])
    assert.deepEqual(rows, [
      ['Ada', 0, 9.5],
      ['Bo', 1, null],
      ['Cy, Jr', 0, 9007199254740991],
    ])
    const big = await done('query_tables', { files: ['hours.json'], sql: 'SELECT max(h) + 2 AS n FROM hours' })
    assert.deepEqual(big.rows, [['9007199254740993']])
    const inside = await done('query_tables', {
      files: ['log.jsonl'],
      sql: `SELECT ok, json_extract("at", '$.day') AS d FROM log`,
    })
    assert.deepEqual(inside.rows, [
      [1, 'Mon'],
      [0, null],
    ])
  })

  test('SQL opens no other file and writes none', async () => {
    for (const sql of ["SELECT 1; ATTACH 'made.db' AS x", "VACUUM INTO 'made.db'", 'PRAGMA database_list']) {
      const { outcome, workspace } = await use('query_tables', { files: ['staff.csv'], sql }, machine)
      const isFirstOnly = outcome.status === 'done' && sql.startsWith('SELECT 1;')
      assert.ok(outcome.status === 'failed' || isFirstOnly, sql)
      await assert.rejects(readFile(join(workspace, 'made.db')))
    }
  })

  test('a patch is applied to all of its files, or to none', async () => {
    const good =
      '--- a/notes.txt\n+++ b/notes.txt\n@@ -1,2 +1,2 @@\n alpha\n-beta\n+BETA\n--- /dev/null\n+++ b/new/one.txt\n@@ -0,0 +1 @@\n+made\n'
    const { workspace } = await done('patch_files', { diff: good }, machine)
    assert.equal(await readFile(join(workspace, 'notes.txt'), 'utf8'), 'alpha\nBETA\ngamma\n')
    assert.equal(await readFile(join(workspace, 'new', 'one.txt'), 'utf8'), 'made\n')
    const again = await use('patch_files', { diff: good }, machine, { workspace })
    assert.ok(again.outcome.status === 'failed' && /fits nowhere: at line 1 it wants/.test(again.outcome.reason))
    const half = `${good.slice(0, good.indexOf('--- /dev'))}--- a/staff.csv\n+++ b/staff.csv\n@@ -1 +1 @@\n-no\n+yes\n`
    const fresh = await use('patch_files', { diff: half }, machine)
    assert.equal(fresh.outcome.status, 'failed')
    assert.equal(await readFile(join(fresh.workspace, 'notes.txt'), 'utf8'), files['notes.txt'])
  })

  test('a patch that names one file by two paths changes nothing, whatever leads to it', async () => {
    const { workspace } = await filled()
    await symlink('notes.txt', join(workspace, 'link.txt'))
    await symlink('.', join(workspace, 'here'))
    const edit = (path: string, line: number, word: string) =>
      `--- ${path}\n+++ ${path}\n@@ -${line} +${line} @@\n-${word}\n+${word.toUpperCase()}\n`
    const make = (path: string) => `--- /dev/null\n+++ ${path}\n@@ -0,0 +1 @@\n+made\n`
    const first = edit('notes.txt', 1, 'alpha')
    await assert.rejects(use('patch_files', { diff: first + edit('./notes.txt', 2, 'beta') }, machine, { workspace }), {
      code: 'MESSAGE_INVALID',
    })
    for (const diff of [
      first + edit(join(workspace, 'notes.txt'), 2, 'beta'),
      first + edit('link.txt', 2, 'beta'),
      make('new/one.txt') + make('here/new/one.txt'),
    ]) {
      const { outcome } = await use('patch_files', { diff }, machine, { workspace })
      assert.ok(outcome.status === 'failed' && /are the same file/.test(outcome.reason), diff)
    }
    assert.equal(await readFile(join(workspace, 'notes.txt'), 'utf8'), files['notes.txt'])
    await assert.rejects(readFile(join(workspace, 'new', 'one.txt')))
  })

  test('a patch that a person allows makes and changes exactly the files that it names', async () => {
    const diff =
      '--- a/notes.txt\n+++ b/notes.txt\n@@ -3 +3 @@\n-gamma\n+delta\n--- /dev/null\n+++ b/added.txt\n@@ -0,0 +1 @@\n+x\n'
    const { workspace } = await done('patch_files', { diff }, asked, { ask: async () => 'allow' })
    assert.equal(await readFile(join(workspace, 'notes.txt'), 'utf8'), 'alpha\nbeta\ndelta\n')
    assert.equal(await readFile(join(workspace, 'added.txt'), 'utf8'), 'x\n')
  })
})

test('a diff fits exactly: where it says, or at the one other place', () => {
  const apply = (diff: string, text: string) => {
    const [patch] = parseDiff(diff)
    assert.ok(patch)
    return applyPatch(patch, text)
  }
  const hunk = (head: string, body: string) => `--- f\n+++ f\n@@ ${head} @@\n${body}`
  assert.equal(apply(hunk('-9 +9', '-b\n+B'), 'a\nb\nc\n'), 'a\nB\nc\n')
  assert.throws(() => apply(hunk('-9 +9', '-b\n+B'), 'b\nb\n'), /fits at lines 1, 2: give more lines around it/)
  assert.equal(apply(hunk('-2 +2', '-b\n+B'), 'b\nb\n'), 'b\nB\n')
  assert.equal(apply(hunk('-1,0 +2', '+x'), 'a\nb\n'), 'a\nx\nb\n')
  assert.equal(apply(hunk('-1 +1', '-a\n\\ No newline at end of file\n+a'), 'a'), 'a\n')
  assert.throws(() => apply(hunk('-1 +1', '-a\n+b'), 'a\r\n'), /fits nowhere/)
  for (const [diff, why] of [
    ['nonsense', /Line 1 of the diff belongs to no hunk/],
    [hunk('-1,2 +1', '-a\n+b'), /says 2 and 1 lines, and has 1 and 1/],
    [hunk('-1 +1', '*a\n+b'), /begins with neither/],
    ['--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b', /renames x/],
    ['--- f\n+++ f\n', /has no hunk/],
  ] as const)
    assert.throws(() => parseDiff(diff), why)
})

test('arguments of the general tools are checked before anything runs', async () => {
  const { workspace } = await newStage()
  for (const [tool, args] of [
    ['shell', { command: 'id\0' }],
    ['shell', { command: 'x'.repeat(70_000) }],
    ['patch_files', { diff: 'nonsense' }],
    ['query_tables', { files: [], sql: 'SELECT 1' }],
    ['read_lines', { path: 'a', from: 0 }],
  ] as const)
    await assert.rejects(
      runTool({ tool, args, workspace, profile: machine }),
      (error) => error instanceof ClawmeshError && error.code === 'MESSAGE_INVALID',
    )
})
