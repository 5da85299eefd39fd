/** A second site: a nats-server of its own there is a leaf node of the mesh's broker, and a machine joins by it alone. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { eventually } from '../kit/eventually.js'
import { OutsideNats } from '../kit/outside-nats.js'
import { Machine } from './machine.js'

describe('a second site', () => {
  const leaf = new OutsideNats()
  const [home, guest] = [new Machine(), new Machine()]
  after(async () => {
    for (const machine of [guest, home]) await machine.remove()
    await leaf.remove()
  })

  it('joins through its own server, and each record of it stands on the audit stream once', async () => {
    const hub = `127.0.0.1:${await freePort()}`
    await home.up('--leaf', hub, '--name', 'home')
    const folder = join(leaf.folder, 'site')
    const { status, stderr } = await home.do('site', folder, '--hub', hub)
    assert.equal(status, 0, stderr)
    const lines = readFileSync(join(folder, 'site.conf'), 'utf8').split('\n')
    await leaf.start(lines.filter((line) => !line.startsWith('listen:')))
    await guest.join(await home.invite(), '--nats', leaf.url, '--name', 'guest')
    assert.deepEqual(await home.names(), ['guest', 'home', 'operator'])
    assert.deepEqual(JSON.parse(readFileSync(join(guest.data, 'nodes', 'guest', 'access.json'), 'utf8')).servers, [
      leaf.url,
    ])

    await leaf.stop()
    await eventually(async () => assert.deepEqual(await home.names(), ['home', 'operator']), 20_000)
    await leaf.start(lines.filter((line) => !line.startsWith('listen:')))
    await eventually(async () => assert.deepEqual(await home.names(), ['guest', 'home', 'operator']), 30_000)
    await guest.stop()
    await home.stop()
    const { stdout } = await home.do('audit', 'query', '--json', '--kind', 'node.joined')
    assert.equal(
      stdout
        .trim()
        .split('\n')
        .filter((line) => line.includes('"guest"')).length,
      1,
      stdout,
    )
    const verified = await home.do('audit', 'verify', '--json')
    assert.equal(verified.status, 0, verified.stdout)
  })
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
