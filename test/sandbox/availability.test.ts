import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { sandboxAvailability } from '../../sandbox/availability.js'

test('this machine holds an action, and proves it', async () => {
  const answer = await sandboxAvailability()
  assert.ok(answer.available, JSON.stringify(answer))
  assert.ok(answer.abi >= 4)
})

test('the probe finds every layer broken where there is none', async () => {
  const { stdout } = spawnSync(join(installation, 'sandbox', 'launcher', 'build', 'probe'), [
    join(installation, 'package.json'),
  ])
  const broken = stdout.toString().trim().split('\n')
  for (const layer of [
    'reading outside',
    'host files',
    'seccomp',
    'network',
    'local sockets',
    'limits',
    'process namespace',
  ])
    assert.ok(broken.includes(layer), `${layer} was said to hold`)
})

describe('the build', () => {
  const sources = join(installation, 'sandbox', 'launcher')
  async function copy(): Promise<string> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'clawmesh build ')))
    await cp(sources, folder, { recursive: true, filter: (path) => !path.endsWith('/build') })
    return folder
  }
  const build = (folder: string, env: NodeJS.ProcessEnv = process.env) =>
    promisify(execFile)(process.execPath, [join(folder, 'build.mjs')], { env })

  test('two at once both succeed, and a later one has nothing to do', async () => {
    const folder = await copy()
    await Promise.all([build(folder), build(folder)])
    const made = await stat(join(folder, 'build', 'clawmesh-sandbox'))
    assert.ok(made.mode & 0o100)
    const { stdout, stderr } = await build(folder)
    assert.equal(stdout + stderr, '')
    assert.equal((await stat(join(folder, 'build', 'clawmesh-sandbox'))).mtimeMs, made.mtimeMs)
    await rm(folder, { recursive: true })
  })

  test('without a compiler it does not fail, but writes down why', async () => {
    const folder = await copy()
    const empty = join(folder, 'empty')
    await mkdir(empty)
    await build(folder, { PATH: empty })
    const { reason, hint } = JSON.parse(await readFile(join(folder, 'build', 'unavailable.json'), 'utf8'))
    assert.match(reason, /no C compiler/)
    assert.match(hint, /install/i)
    await build(folder)
    await assert.rejects(stat(join(folder, 'build', 'unavailable.json')), 'a later build takes it back')
    await rm(folder, { recursive: true })
  })

  test('compiles for the other processor too, where there is a compiler for it', (context) => {
    const compiler = process.arch === 'arm64' ? 'x86_64-linux-gnu-gcc' : 'aarch64-linux-gnu-gcc'
    if (spawnSync(compiler, ['--version']).status !== 0) return context.skip(`${compiler} is not installed`)
    const files = readdirSync(sources).flatMap((name) => (name.endsWith('.c') ? [join(sources, name)] : []))
    const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror']
    const { status, stderr } = spawnSync(compiler, [...flags, '-fsyntax-only', ...files], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })

  test('a source that does not compile is told, not thrown', async () => {
    const folder = await copy()
    await writeFile(join(folder, 'limits.c'), 'int broken')
    await build(folder)
    assert.match(await readFile(join(folder, 'build', 'unavailable.json'), 'utf8'), /limits\.c/)
    await rm(folder, { recursive: true })
  })
})
