import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { takeLock } from '../../nodes/lock.js'
import { temporaryFolder } from '../kit/mesh.js'

const module = fileURLToPath(new URL('../../nodes/lock.js', import.meta.url))

/** Takes the lock at a given instant, says so and holds it until its input ends. */
const contender = `
const { takeLock } = await import(${JSON.stringify(module)})
const [path, instant] = process.argv.slice(1)
while (Date.now() < Number(instant));
const lock = takeLock(path)
process.stdout.write('release' in lock ? 'taken' : String(lock.holder))
process.stdin.resume()
`

describe('a lock', () => {
  const folder = temporaryFolder()
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('is had by one, named to others, and free again when it is given back', () => {
    const path = join(folder, 'one')
    const lock = takeLock(path)
    assert.ok('release' in lock)
    assert.deepEqual(takeLock(path), { holder: process.pid })
    lock.release()
    assert.ok('release' in takeLock(path))
  })

  it('of a process that died is taken over by exactly one of many who come at the same instant', async () => {
    for (let round = 0; round < 3; round += 1) {
      const path = join(folder, `left-${round}`)
      writeFileSync(path, '4194305 1')
      const instant = String(Date.now() + 700)
      const all = Array.from({ length: 6 }, () =>
        spawn(process.execPath, ['--input-type=module', '-e', contender, path, instant], {
          stdio: ['pipe', 'pipe', 'inherit'],
        }),
      )
      const said = await Promise.all(all.map(async ({ stdout }) => String((await once(stdout, 'data'))[0])))
      for (const one of all) one.stdin.end()
      await Promise.all(all.map((one) => once(one, 'exit')))
      assert.equal(said.filter((word) => word === 'taken').length, 1, said.join())
    }
  })
})
