/** The same suites again as a user without any privilege, from a copy of the package that such a user may read. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { chmod, copyFile, cp, mkdtemp, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { installation } from '../../mesh/installation.js'

const root = process.geteuid?.() === 0
const nobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups']

interface Copy {
  folder: string
  /** The Node that this runs on, where such a user may execute it. */
  node: string
}

async function copyPackage(): Promise<Copy> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clawmesh package ')))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const parts = [
    'package.json',
    'dist/policies',
    'dist/mesh/installation.js',
    'dist/mesh/broker/x509.js',
    'dist/sandbox',
    'dist/test',
    'sandbox/launcher',
    'policies/presets',
    'test/attack',
  ]
  for (const part of [...parts, 'node_modules/zod', 'node_modules/yaml'])
    await cp(join(installation, part), join(folder, part), { recursive: true, dereference: true })
  return { folder, node: await executableNode(folder) }
}

async function executableNode(folder: string): Promise<string> {
  const itself = "require('node:child_process').execFileSync(process.execPath, ['--version'])"
  const runs = promisify(execFile)('setpriv', [...nobody, process.execPath, '-e', itself])
  if (await runs.then(() => true).catch(() => false)) return process.execPath
  const copy = join(folder, 'node')
  await copyFile(process.execPath, copy)
  await chmod(copy, 0o755)
  return copy
}

/** Standard output; rejects with it, and with what went to standard error, where the program fails. */
async function asNobody({ folder, node }: Copy, args: string[]): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const command = ['setpriv', ...nobody, node, ...args]
  const { stdout } = await promisify(execFile)(command[0] ?? '', command.slice(1), {
    cwd: folder,
    env: { ...env, HOME: '/tmp' },
  })
  return stdout
}

test('launches, limits, tools and attempts hold for a plain user too', {
  skip: !root && 'this is a plain user already',
}, async () => {
  const copy = await copyPackage()
  // pooled runs the first four again, by a pool.
  const suites = [
    'sandbox/launch',
    'sandbox/limits',
    'sandbox/run',
    'sandbox/opens',
    'sandbox/changes',
    'attack/sandbox/escape',
    'sandbox/pooled.long',
    'sandbox/pool',
    'sandbox/identity',
    'sandbox/deeds',
    ...(existsSync('/usr/bin/curl') ? ['sandbox/network'] : []),
  ].map((name) => `dist/test/${name}.test.js`)
  const output = await asNobody(copy, ['--test', '--test-reporter=tap', '--test-concurrency=2', ...suites]).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  )
  const count = (word: string) => Number(new RegExp(`^# ${word} (\\d+)`, 'm').exec(output)?.[1])
  assert.ok(count('pass') > 80, output)
  assert.equal(count('fail') + count('skipped') + count('cancelled'), 0, output)
})

const ask = `import('./dist/sandbox/index.js').then(async ({ sandboxAvailability }) => console.log(JSON.stringify(await sandboxAvailability())))`

test('without a launcher the role is refused, and so is every launch', {
  skip: !root && 'needs a copy of another owner',
}, async () => {
  const copy = await copyPackage()
  await rm(join(copy.folder, 'sandbox', 'launcher', 'build'), { recursive: true })
  const answer = JSON.parse(await asNobody(copy, ['-e', ask]))
  assert.deepEqual([answer.available, answer.reason], [false, 'the launcher has not been built'])
  const launch = `import('./dist/sandbox/index.js').then(({ runTool, loadProfile }) => loadProfile('none').then((profile) =>
    runTool({ tool: 'no_tool', args: {}, workspace: '.', profile }))).catch((error) => console.log(error.code))`
  assert.equal(await asNobody(copy, ['-e', launch]), 'SANDBOX_UNAVAILABLE\n')
})

test('where no pool comes up, the role is refused, though single launches would hold', {
  skip: !root && 'needs a copy of another owner',
}, async () => {
  const copy = await copyPackage()
  const build = join(copy.folder, 'sandbox', 'launcher', 'build')
  await rename(join(build, 'clawmesh-sandbox'), join(build, 'real'))
  const without = '#!/bin/sh\n[ "$1" = --pool ] && exit 1\nexec "$(dirname "$0")/real" "$@"\n'
  await writeFile(join(build, 'clawmesh-sandbox'), without, { mode: 0o755 })
  const answer = JSON.parse(await asNobody(copy, ['-e', ask]))
  assert.equal(answer.available, false)
  assert.match(answer.reason, /pool: the daemon ended at once/)
})

test('where user namespaces are switched off, nothing runs and the answer says why', {
  skip: !root && 'needs a namespace of its own',
}, async () => {
  const copy = await copyPackage()
  const script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -e "$1"'
  const { stdout } = await promisify(execFile)(
    'setpriv',
    [...nobody, 'unshare', '-Ur', 'sh', '-c', script, copy.node, ask],
    { cwd: copy.folder },
  )
  const answer = JSON.parse(stdout)
  assert.equal(answer.available, false)
  assert.match(answer.reason, /namespaces: cannot make new namespaces/)
  assert.match(answer.hint, /max_user_namespaces/)

  // The second finds that no worker could be prepared for it.
  const twice = `import('./dist/sandbox/index.js').then(async ({ runTool, loadProfile, Pool }) => {
    const pool = new Pool()
    const profile = await loadProfile('read-only-research')
    for (let time = 0; time < 2; time += 1) {
      await runTool({ tool: 'list_files', args: {}, workspace: '.', profile, pool }).catch(({ message }) => console.log(message))
      await new Promise((later) => setTimeout(later, 100))
    }
  })`
  const pooled = await promisify(execFile)(
    'setpriv',
    [...nobody, 'unshare', '-Ur', 'sh', '-c', script, copy.node, twice],
    { cwd: copy.folder },
  )
  assert.match(pooled.stdout, /^(.*namespaces: cannot make new namespaces.*\n){2}$/)
})

test('root of a container, who is a plain user outside of it, can run actions', {
  skip: !root && 'needs a namespace of its own',
}, async () => {
  const copy = await copyPackage()
  const { stdout } = await promisify(execFile)('setpriv', [...nobody, 'unshare', '-Ur', copy.node, '-e', ask], {
    cwd: copy.folder,
  })
  assert.equal(JSON.parse(stdout).available, true, stdout)
})
