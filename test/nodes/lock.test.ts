import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { takeLock } from '../../nodes/lock.mjs'
import { childrenOf } from '../kit/children.js'
import { temporaryFolder } from '../kit/mesh.js'

const module = fileURLToPath(new URL('../../nodes/lock.mjs', import.meta.url))

/** Takes the lock at a given instant, says so and holds it until its input ends. */
const contender = `
const { takeLock } = await import(${JSON.stringify(module)})
const [path, instant] = process.argv.slice(1)
while (Date.now() < Number(instant));
const lock = takeLock(path)
process.stdout.write('release' in lock ? 'taken' : String(lock.holder))
process.stdin.resume()
`

/** Process ids of its own, and a /proc that shows no others: as in a container. */
const container = ['unshare', '-Urpf', '--mount-proc']
const noContainer =
  spawnSync('unshare', [...container.slice(1), 'true']).status === 0
    ? false
    : 'no process id namespace can be made on this machine'

describe('a lock', () => {
  const folder = temporaryFolder()
  after(() => rmSync(folder, { recursive: true, force: true }))

  function contend(path: string, { instant = 0, before = [] as string[] } = {}) {
    const [program = '', ...args] = [...before, process.execPath, '--input-type=module', '-e', contender, path]
    return spawn(program, [...args, String(instant)], { stdio: ['pipe', 'pipe', 'inherit'] })
  }

  const answerOf = async (child: ReturnType<typeof contend>) => String((await once(child.stdout, 'data'))[0])

  async function end(child: ReturnType<typeof contend>): Promise<void> {
    child.stdin.end()
    await once(child, 'exit')
  }

  /** kill -9, also of what `unshare` runs. */
  async function kill(child: ChildProcess): Promise<void> {
    const pid = child.pid ?? 0
    const inner = childrenOf(pid)
    for (const victim of inner.length > 0 ? inner : [pid]) process.kill(victim, 'SIGKILL')
    await once(child, 'exit')
  }

  it('is had by one, named to others, and free again when it is given back', () => {
    const path = join(folder, 'one')
    const lock = takeLock(path)
    assert.ok('release' in lock)
    assert.deepEqual(takeLock(path), { holder: process.pid })
    lock.release()
    const next = takeLock(path)
    assert.ok('release' in next)
    lock.release()
    assert.deepEqual(takeLock(path), { holder: process.pid }, 'it is given back only once')
    next.release()
    assert.deepEqual(readdirSync(folder), [])
  })

  it('of a process that died is taken over by exactly one of many who come at the same instant', async () => {
    for (let round = 0; round < 3; round += 1) {
      const path = join(folder, `left-${round}`)
      writeFileSync(path, `${process.pid} 00000000-0000-4000-8000-000000000000`)
      const all = Array.from({ length: 6 }, () => contend(path, { instant: Date.now() + 700 }))
      const said = await Promise.all(all.map(answerOf))
      await Promise.all(all.map(end))
      assert.equal(said.filter((word) => word === 'taken').length, 1, said.join())
    }
  })

  it('is kept by a process that is only stopped', async () => {
    const path = join(folder, 'stopped')
    const holder = contend(path)
    assert.equal(await answerOf(holder), 'taken')
    holder.kill('SIGSTOP')
    assert.deepEqual(takeLock(path), { holder: holder.pid })
    holder.kill('SIGCONT')
    await end(holder)
  })

  describe('between containers', { skip: noContainer }, () => {
    it('is refused while its holder lives, whichever of the two is inside', async () => {
      for (const [inner, outer] of [
        [container, []],
        [[], container],
        [container, container],
      ]) {
        const path = join(folder, 'shared')
        const holder = contend(path, { before: inner ?? [] })
        assert.equal(await answerOf(holder), 'taken')
        const other = contend(path, { before: outer ?? [] })
        assert.match(await answerOf(other), /^\d+$/)
        await end(other)
        await end(holder)
        rmSync(path, { force: true })
      }
    })

    it('is taken over at once when its holder was killed, also by one that has the same process id', async () => {
      for (const before of [[], container]) {
        const path = join(folder, 'left behind')
        const holder = contend(path, { before: container })
        assert.equal(await answerOf(holder), 'taken')
        await kill(holder)
        const other = contend(path, { before })
        assert.equal(await answerOf(other), 'taken')
        await end(other)
        rmSync(path, { force: true })
      }
    })
  })
})
