/** A mesh that comes back to what is not as it left it: its store, its keys, its clock, the compiler of its sandbox. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { enrol, readCredentials, writeCredentials } from '../../mesh/seal/credentials.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { type Ended, run } from './command.js'

const day = 24 * 60 * 60 * 1000
const failed = 1
const denied = 3
const unavailable = 4

describe('a data folder', () => {
  const folder = temporaryFolder()
  const workspace = join(folder, 'workspace')
  const data = join(folder, 'data')
  const whole = join(folder, 'whole')

  const start = () =>
    run([
      'start',
      'how many lines has notes.txt',
      '--workspace',
      workspace,
      '--data',
      data,
      '--model',
      'shipped',
      '--json',
    ]).ended

  before(async () => {
    mkdirSync(workspace)
    writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\n')
    assert.equal((await start()).status, 0)
    cpSync(data, whole, { recursive: true })
  })
  beforeEach(() => {
    rmSync(data, { recursive: true, force: true })
    cpSync(whole, data, { recursive: true })
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** One error on stderr, the same one in the JSON, nothing left behind. */
  async function check(ended: Ended, status: number, code: string, says: RegExp, advises: RegExp): Promise<void> {
    assert.equal(ended.status, status, ended.stderr)
    const { ok, error } = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '')
    assert.deepEqual([ok, error.code], [false, code])
    assert.match(error.message, says)
    assert.match(error.hint, advises)
    assert.deepEqual(ended.error, [`clawmesh: ${error.message}`, `  ${error.hint}`])
    await eventually(() => assert.deepEqual(ended.left(), []))
  }

  it('of a mesh that did not run for 40 days serves it again', async () => {
    reissue(-40 * day)
    const ended = await start()
    assert.equal(ended.status, 0, ended.stderr)
  })

  it('of a mesh whose clock was a day ahead serves it again when the clock is right', async () => {
    reissue(day)
    const ended = await start()
    assert.equal(ended.status, 0, ended.stderr)
  })

  /** As if every node had its certificate from another day. */
  function reissue(offset: number): void {
    const authority = openAuthority(join(data, 'authority'), Date.now())
    for (const name of readdirSync(join(data, 'nodes'))) {
      const file = join(data, 'nodes', name, 'credentials.json')
      const { certificate, signing } = readCredentials(file, undefined)
      writeCredentials(file, enrol(authority, { name, roles: certificate.roles, signing }, Date.now() + offset))
    }
  }

  it('whose broker lost its store does the job, and says that the trail is broken and where the records still are', async () => {
    rmSync(join(data, 'broker'), { recursive: true })
    await check(await start(), failed, 'AUDIT_BROKEN', /before it .* are missing/, /chain files still hold .* backup/)
  })

  it('whose audit stream was cut on disk says so', async () => {
    for (const file of auditBlocks()) truncateSync(file, 700)
    await check(await start(), failed, 'AUDIT_BROKEN', /the audit trail is broken: \S/i, /--data/)
  })

  it('whose store cannot be one says what the broker says of it', async () => {
    rmSync(join(data, 'broker', 'store'), { recursive: true })
    writeFileSync(join(data, 'broker', 'store'), 'no folder')
    await check(await start(), unavailable, 'BROKER_UNAVAILABLE', /not a directory/, /nats-server\.log/)
  })

  it('whose authority is gone gets no new one behind its back', async () => {
    rmSync(join(data, 'authority'), { recursive: true })
    await check(await start(), denied, 'UNAUTHENTIC', /not the keys of their authority/, /restore .*backup/)
    assert.equal(existsSync(join(data, 'authority')), false)
  })

  function auditBlocks(): string[] {
    const store = join(data, 'broker', 'store')
    const blocks = readdirSync(store, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /-audit\/.*\.blk$/.test(path),
    )
    assert.notEqual(blocks.length, 0)
    return blocks.map((path) => join(store, path))
  }
})

describe('a clone on a machine without a C compiler', () => {
  const folder = temporaryFolder()
  const clone = join(folder, 'clone')
  after(() => rmSync(folder, { recursive: true, force: true }))

  before(() => {
    mkdirSync(join(clone, 'inference', 'shipped'), { recursive: true })
    for (const part of ['dist', 'package.json', 'policies', 'examples', 'sandbox/launcher', 'inference/shipped/model'])
      cpSync(join(installation, part), join(clone, part), { recursive: true })
    symlinkSync(join(installation, 'node_modules'), join(clone, 'node_modules'))
    rmSync(join(clone, 'sandbox', 'launcher', 'build'), { recursive: true, force: true })
    // Where programs are looked for there is Node and nothing else.
    const programs = join(folder, 'programs')
    mkdirSync(programs)
    symlinkSync(process.execPath, join(programs, 'node'))
    const built = spawnSync(process.execPath, [join(clone, 'sandbox', 'launcher', 'build.mjs')], {
      env: { PATH: programs },
      encoding: 'utf8',
    })
    assert.equal(built.status, 0, built.stderr)
    assert.match(readFileSync(join(clone, 'sandbox', 'launcher', 'build', 'unavailable.json'), 'utf8'), /no C compiler/)
  })

  it('runs a mesh that says what it lacks, and ends the main job with that one error', async () => {
    const main = join(clone, 'dist', 'nodes', 'cli', 'main.js')
    const ended = await run(['start', '--once', '--json', '--model', 'shipped', '--data', join(folder, 'data')], {
      main,
    }).ended
    assert.equal(ended.status, unavailable, ended.stderr)
    assert.match(
      ended.stderr,
      /· worker-1, worker-2, worker-3: no action can run here: no C compiler was found\. Install one/,
    )
    const { ok, error, auditVerified } = JSON.parse(ended.stdout)
    assert.deepEqual([ok, error.code, auditVerified], [false, 'SANDBOX_UNAVAILABLE', true])
    assert.equal(ended.error.length, 2, ended.error.join('\n'))
    await eventually(() => assert.deepEqual(ended.left(), []))
  })
})
