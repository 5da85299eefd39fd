/** I7 in the shipped command: the supervising process dies in the middle of the main job, and the next start goes on with it. */
import assert from 'node:assert/strict'
import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { Command } from './command.js'

const data = temporaryFolder()
after(() => rmSync(data, { recursive: true, force: true }))

const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0)

it('a job whose supervisor was killed goes on where it was, when it is asked for again', async () => {
  const first = new Command({ data })
  // Workers have begun to write what they think and do.
  const chain = join(data, 'nodes', 'worker-1', 'audit.chain')
  let idle = 0
  await eventually(() => {
    assert.match(first.stderr, /parts for 3 workers/)
    idle ||= sizeOf(chain)
    assert.ok(sizeOf(chain) > idle + 4000)
  }, 60_000)
  first.signal('SIGKILL')
  const { orphans } = await first.ended()
  assert.deepEqual(orphans, [])

  const second = await new Command({ data }).ended()
  assert.equal(second.status, 0, second.stderr)
  const [, done] = /goes on, (\d+) of its steps are done/.exec(second.stderr) ?? []
  assert.ok(Number(done) >= 1, second.stderr)
  assert.ok(second.summary?.ok && second.summary.auditVerified)

  // And that one has ended: the same asked a third time is a new task.
  const third = await new Command({ data }).ended()
  assert.equal(third.status, 0, third.stderr)
  assert.doesNotMatch(third.stderr, /cut off/)
  assert.equal(third.summary?.answer, second.summary.answer)
})
