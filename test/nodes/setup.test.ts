/** The setup of a clone, on a small project of its own: with the real npm, compiler of TypeScript and build of the launcher, and no network. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { takeLock } from '../../nodes/lock.mjs'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'

const withinMs = 120_000
/** A time that is restored to the same, whatever the file system keeps of it. */
const long = new Date(1_700_000_000_000)

describe('the setup', () => {
  let clone: string
  let lock: string

  before(() => {
    clone = temporaryFolder()
    lock = join(clone, '.setup.lock')
    mkdirSync(join(clone, 'nodes'))
    for (const file of ['nodes/setup.mjs', 'nodes/lock.mjs']) cpSync(join(installation, file), join(clone, file))
    // With what is built already: the C compiler is not what this is about.
    cpSync(join(installation, 'sandbox', 'launcher'), join(clone, 'sandbox', 'launcher'), { recursive: true })
    const project = {
      name: 'clone',
      version: '1.0.0',
      scripts: { install: 'node -p process.env.ONNXRUNTIME_NODE_INSTALL > told' },
      dependencies: { typescript: `file:${join(installation, 'node_modules', 'typescript')}` },
    }
    writeFileSync(join(clone, 'package.json'), JSON.stringify(project))
    writeFileSync(
      join(clone, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          rootDir: '.',
          outDir: 'dist',
          types: [],
          incremental: true,
          tsBuildInfoFile: 'dist/.tsbuildinfo',
        },
        include: ['src/**/*.ts'],
      }),
    )
    mkdirSync(join(clone, 'src'))
    writeFileSync(join(clone, 'src', 'one.ts'), 'export const one: number = 1\n')
    const locked = spawnSync('npm', ['install', '--package-lock-only', '--offline', '--ignore-scripts'], { cwd: clone })
    assert.equal(locked.status, 0, String(locked.stderr))
  })
  after(() => rmSync(clone, { recursive: true, force: true }))

  function setUp(wantedStatus = 0) {
    const { ONNXRUNTIME_NODE_INSTALL: _, ...env } = process.env
    const child = spawn(process.execPath, [join(clone, 'nodes', 'setup.mjs')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...env, npm_config_offline: 'true' },
      timeout: withinMs,
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    return { said: () => said, ended: once(child, 'exit').then(([status]) => assert.equal(status, wantedStatus, said)) }
  }

  it('installs and compiles, and has onnxruntime fetch nothing, by the way that a newer npm passes on too', async () => {
    await setUp().ended
    assert.equal(readFileSync(join(clone, 'told'), 'utf8'), 'skip\n')
    assert.ok(existsSync(join(clone, 'dist', 'src', 'one.js')))
    assert.equal(existsSync(lock), false)
  })

  it('compiles again only what was changed since', async () => {
    const compiled = join(clone, 'dist', 'src', 'one.js')
    writeFileSync(compiled, 'left alone')
    await setUp().ended
    assert.equal(readFileSync(compiled, 'utf8'), 'left alone')
    writeFileSync(join(clone, 'src', 'one.ts'), 'export const one: number = 22\n')
    utimesSync(join(clone, 'src', 'one.ts'), long, long)
    const orphan = join(clone, 'dist', 'src', 'gone.js')
    writeFileSync(orphan, '// of a source that is gone')
    const outside = temporaryFolder()
    writeFileSync(join(outside, 'own.js'), '// of somebody else')
    symlinkSync(outside, join(clone, 'dist', 'src', 'link'))
    await setUp().ended
    assert.match(readFileSync(compiled, 'utf8'), /one = 22/)
    assert.equal(existsSync(orphan), false)
    assert.ok(existsSync(join(outside, 'own.js')), 'a file behind a link was removed')
    rmSync(outside, { recursive: true })
  })

  it('makes again what is missing, and what was left of a source that does not compile', async () => {
    const [source, compiled] = [join(clone, 'src', 'one.ts'), join(clone, 'dist', 'src', 'one.js')]
    rmSync(compiled)
    await setUp().ended
    assert.match(readFileSync(compiled, 'utf8'), /one = 22/)
    const text = readFileSync(source)
    writeFileSync(source, 'export const one: number = "wrong"\n')
    await setUp(1).ended
    assert.match(readFileSync(compiled, 'utf8'), /one = "wrong"/)
    writeFileSync(source, text)
    utimesSync(source, long, long)
    await setUp().ended
    assert.match(readFileSync(compiled, 'utf8'), /one = 22/)
  })

  it('waits for one that is at work, and not longer', async () => {
    const other = takeLock(lock)
    assert.ok('release' in other)
    const { said, ended } = setUp()
    await eventually(() => assert.match(said(), new RegExp(`at work in this folder \\(process ${process.pid}\\)`)))
    other.release()
    await ended
  })

  it('does not wait for one that died, whoever has its process id now', async () => {
    writeFileSync(lock, `${process.pid} 00000000-0000-4000-8000-000000000000`)
    const { said, ended } = setUp()
    await ended
    assert.doesNotMatch(said(), /waiting/)
  })
})
