import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openDataFolder, openFreeDataFolder } from '../../nodes/data-folder.js'
import { takeLock } from '../../nodes/lock.mjs'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'

const taker = fileURLToPath(new URL('./take-folder.js', import.meta.url))
const contenders = 8

interface Contender {
  child: ChildProcess
  said(): string
}

function contend(folder: string): Contender {
  const child = spawn(process.execPath, [taker, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  return { child, said: () => said }
}

/** Sets eight processes on one folder at the same moment; what each of them said, while all of them still live. */
async function race(folder: string): Promise<string[]> {
  const all = Array.from({ length: contenders }, () => contend(folder))
  try {
    await eventually(() => assert.ok(all.every(({ said }) => said() === 'ready\n')), 20_000)
    for (const { child } of all) child.stdin?.write('go\n')
    await eventually(() => assert.ok(all.every(({ said }) => /^ready\n\w+\n$/.test(said()))), 20_000)
    return all.map(({ said }) => said().split('\n')[1] ?? '').sort()
  } finally {
    const ended = all.map(({ child }) => new Promise((resolve) => child.once('exit', resolve)))
    for (const { child } of all) child.stdin?.end()
    await Promise.all(ended)
  }
}

const oneWinner = [...Array<string>(contenders - 1).fill('DATA_IN_USE'), 'taken']
const isInUse = (error: unknown) => error instanceof ClawmeshError && error.code === 'DATA_IN_USE'

describe('the lock of a data folder', () => {
  let folder: string
  let lock: string
  before(() => {
    folder = join(temporaryFolder(), 'data')
    lock = join(folder, 'lock')
    mkdirSync(folder)
  })
  after(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

  it('is taken by one of eight processes that try at once', async () => {
    assert.deepEqual(await race(folder), oneWinner)
    assert.deepEqual(readdirSync(folder), [], 'a process that ends takes its lock with it')
  })

  it('of a process that is dead is taken over by one of eight', async () => {
    for (let round = 0; round < 3; round += 1) {
      await leaveBehind()
      assert.deepEqual(await race(folder), oneWinner, `round ${round}`)
      assert.deepEqual(readdirSync(folder), [])
    }
  })

  it('is taken over by one of eight when the one who took it over before them died in the middle', async () => {
    await leaveBehind()
    writeFileSync(`${lock}.turn`, readFileSync(lock))
    assert.deepEqual(await race(folder), oneWinner)
    assert.deepEqual(readdirSync(folder), [])
  })

  it('of a dead process is not touched while another that lives is taking it over', () => {
    const stale = `${process.pid} 1`
    writeFileSync(lock, stale)
    const turn = takeLock(`${lock}.turn`)
    assert.ok('release' in turn)
    assert.throws(() => openDataFolder(folder), isInUse)
    assert.equal(readFileSync(lock, 'utf8'), stale)
    turn.release()
    openDataFolder(folder).release()
  })

  it('of a process whose number another one has now is taken over', () => {
    writeFileSync(lock, `${process.pid} 1`)
    openDataFolder(folder).release()
    assert.equal(existsSync(lock), false)
  })

  it('that a crash of the machine left empty is taken over', () => {
    for (const text of ['', '0 ', 'nonsense']) {
      writeFileSync(lock, text)
      openDataFolder(folder).release()
    }
  })

  it('sends a second mesh without a folder of its own to the next one', () => {
    const first = openFreeDataFolder(folder)
    const second = openFreeDataFolder(folder)
    assert.deepEqual([first.path, second.path], [folder, `${folder}-2`])
    assert.throws(() => openDataFolder(folder), isInUse)
    first.release()
    second.release()
  })

  /** A lock whose owner was killed. */
  async function leaveBehind(): Promise<void> {
    const { child, said } = contend(folder)
    await eventually(() => assert.match(said(), /ready/))
    child.stdin?.write('go\n')
    await eventually(() => assert.match(said(), /taken/))
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    assert.equal(existsSync(lock), true)
  }
})
