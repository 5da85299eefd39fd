/**
 * `npm run soak -- sites`: by the shipped commands, a mesh on a server of another operator, and a mesh with a second site whose server is a leaf node of the
 * mesh's broker.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../kit/eventually.js'
import { freePort } from '../kit/free-port.js'
import { OutsideNats, otherOperator } from '../kit/outside-nats.js'
import { Machine } from './machine.js'

export async function soakSites(): Promise<boolean> {
  for (const [what, run] of [
    ['a mesh on an outside server', onOutside],
    ['a second site behind a leaf node', bySite],
  ] as const) {
    const nats = new OutsideNats()
    const [home, guest] = [new Machine(), new Machine()]
    try {
      await run(nats, home, guest)
      process.stdout.write(`${what}: whole\n`)
    } catch (error) {
      process.stdout.write(`${what}: ${(error as Error).stack}\n`)
      return false
    } finally {
      for (const machine of [guest, home]) await machine.remove()
      await nats.remove()
    }
  }
  return true
}

async function onOutside(nats: OutsideNats, home: Machine, guest: Machine): Promise<void> {
  const configuration = await otherOperator()
  const file = join(home.data, 'authority', 'outside.conf')
  await nats.start([...configuration(), nats.store()])
  await assert.rejects(home.up('--nats', nats.url), /do not know this mesh/)
  await nats.stop()
  await nats.start([...configuration(file), nats.store()])
  await home.up('--nats', nats.url, '--name', 'home')
  await guest.join(await home.invite(), '--name', 'guest')
  assert.deepEqual(await home.names(), ['guest', 'home', 'operator'])
  const before = readFileSync(file, 'utf8')
  const { status, stderr } = await home.do('revoke', 'guest')
  assert.equal(status, 0, stderr)
  assert.match(stderr, /let it in until whoever runs them takes over the changed .*outside\.conf/)
  assert.notEqual(readFileSync(file, 'utf8'), before)
  await eventually(async () => assert.deepEqual(await home.names(), ['home', 'operator']))
  await verify(home)
}

async function bySite(leaf: OutsideNats, home: Machine, guest: Machine): Promise<void> {
  const hub = `127.0.0.1:${await freePort()}`
  await home.up('--leaf', hub, '--name', 'home')
  const folder = join(leaf.folder, 'site')
  const { status, stderr } = await home.do('site', folder, '--hub', hub)
  assert.equal(status, 0, stderr)
  const lines = readFileSync(join(folder, 'site.conf'), 'utf8').split('\n')
  const start = () => leaf.start(lines.filter((line) => !line.startsWith('listen:')))
  const both = ['guest', 'home', 'operator']
  await start()
  await guest.join(await home.invite(), '--nats', leaf.url, '--name', 'guest')
  assert.deepEqual(await home.names(), both)
  const access = JSON.parse(readFileSync(join(guest.data, 'nodes', 'guest', 'access.json'), 'utf8'))
  assert.deepEqual(access.servers, [leaf.url])

  await leaf.stop()
  await eventually(async () => assert.deepEqual(await home.names(), ['home', 'operator']), 20_000)
  await start()
  await eventually(async () => assert.deepEqual(await home.names(), both), 30_000)
  await guest.stop()
  const { stdout } = await home.do('audit', 'query', '--json', '--kind', 'node.joined')
  const joined = stdout.split('\n').filter((line) => line.includes('"guest"'))
  assert.equal(joined.length, 1, stdout)
  await verify(home)
}

async function verify(home: Machine): Promise<void> {
  await home.stop()
  const { status, stdout } = await home.do('audit', 'verify', '--json')
  assert.equal(status, 0, stdout)
}
