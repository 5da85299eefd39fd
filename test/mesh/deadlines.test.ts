import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { it } from 'node:test'
import { Deadlines, type Expiring } from '../../mesh/calls/deadlines.js'

class Entry implements Expiring {
  slot = 0
  readonly over: Promise<void>
  expire: () => void = () => undefined
  hasExpired = false

  constructor() {
    this.over = new Promise((resolve) => {
      this.expire = () => {
        this.hasExpired = true
        resolve()
      }
    })
  }
}

it('a deadline that passed while this process stood still is not over before what came meanwhile was read', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => reader.destroy())
  const [[writer]] = await Promise.all([once(server, 'connection'), once(reader, 'connect')])
  const deadlines = new Deadlines()
  const [answered, unanswered] = [new Entry(), new Entry()]
  reader.once('data', () => deadlines.remove(answered))
  deadlines.add(answered, 30)
  deadlines.add(unanswered, 30)
  writer.write('the answer')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  await unanswered.over
  assert.equal(answered.hasExpired, false)
})
