/** A mesh on one broker that is started with three: all that it stores goes along, and any of the three may die. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { childrenOf } from '../kit/children.js'
import { eventually } from '../kit/eventually.js'
import { Machine } from './machine.js'

const home = new Machine()
after(() => home.remove())

const words = async (...args: string[]) => {
  const { status, stdout, stderr } = await home.do(...args)
  assert.equal(status, 0, stderr)
  return stdout
}
const places = () =>
  words('audit', 'query', '--json').then((text) => text.split('\n').filter((line) => line.includes('"task.')))

/** Of the process and of all below it. */
function brokersBelow(pid: number): number[] {
  const below = childrenOf(pid)
  const isBroker = (one: number) => readFileSync(`/proc/${one}/comm`, 'utf8') === 'nats-server\n'
  return below.flatMap((one) => [...(isBroker(one) ? [one] : []), ...brokersBelow(one)])
}

it('is carried over whole, and back on its one broker where that is cut short', async () => {
  const workspace = join(home.data, '..', 'workspace')
  mkdirSync(workspace)
  writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\n')
  await home.up('--workspace', workspace, '--policy', 'read-only-research')
  const port = /nats:\/\/127\.0\.0\.1:\d+/.exec(home.said())?.[0]
  await words('run', 'how many lines has notes.txt')
  await home.stop()
  const [tasks, events] = [await words('tasks', 'list'), await places()]
  assert.match(tasks, /done/)

  // Cut short at any moment before its last step, it has changed nothing.
  const first = home.up('--brokers', '3').catch(() => undefined)
  const moving = join(home.data, 'broker', 'moving', 'brokers', '1')
  await eventually(() => assert.ok(existsSync(moving)), 60_000)
  await home.kill()
  await first
  assert.equal(await words('tasks', 'list'), tasks)

  const three = await home.up('--brokers', '3')
  assert.match(three.stderr(), /all of it is on 3 brokers/)
  assert.ok(port && three.stderr().includes(port), 'who knows the one finds the three')
  assert.equal(await words('tasks', 'list'), tasks)
  const [broker, ...others] = brokersBelow(three.child.pid ?? 0)
  assert.equal(others.length, 2)
  process.kill(broker ?? assert.fail('no broker runs'), 'SIGKILL')
  await words('run', 'how many words has notes.txt')
  await home.stop()
  await words('audit', 'verify')
  const now = await places()
  assert.deepEqual(now.slice(0, events.length), events)
  assert.ok(now.length > events.length)
  const back = await home.do('up', '--brokers', '1')
  assert.match(back.stderr, /cannot be changed to 1/)
})
