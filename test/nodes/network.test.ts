/**
 * Two hosts that share nothing but a cable: network namespaces of this test's own, joined by a pair of virtual Ethernet ends. The broker listens on the cable and
 * speaks TLS there.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const inside = fileURLToPath(new URL('./network-host.js', import.meta.url))
// Root needs no user namespace, and would lose the right to read what belongs to others in one.
const unshare = ['unshare', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), '--net', '--']
const able = spawnSync('unshare', [
  ...unshare.slice(1),
  'ip',
  'link',
  'add',
  'name',
  'near',
  'type',
  'veth',
  'peer',
  'name',
  'far',
])

describe('two hosts on a network', {
  skip: able.status === 0 ? false : 'no network namespaces can be made here',
}, () => {
  it('are one mesh: TLS on the cable, nobody in between, and a host that is unplugged comes back', () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status, stdout, stderr } = spawnSync('unshare', [...unshare.slice(1), process.execPath, inside], {
      encoding: 'utf8',
      timeout: 180_000,
      env,
    })
    assert.equal(status, 0, `${stdout}\n${stderr}`)
    const said = stdout.trim().split('\n')
    assert.deepEqual(said, ['joined over TLS', 'a false broker is not believed', 'unplugged', 'back'])
  })
})
