/**
 * Hosts that share nothing but a cable: network namespaces of this test's own, joined by pairs of virtual Ethernet ends. The broker listens on the cables and
 * speaks TLS there.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const program = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url))
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

/** What the program says that has held, line by line. */
function runInside(name: string): string[] {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync('unshare', [...unshare.slice(1), process.execPath, program(name)], {
    encoding: 'utf8',
    timeout: 180_000,
    env,
  })
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  return stdout.trim().split('\n')
}

describe('hosts on a network', {
  skip: able.status === 0 ? false : 'no network namespaces can be made here',
}, () => {
  it('are one mesh: TLS on the cable, and nobody in between', () => {
    assert.deepEqual(runInside('host'), ['joined over TLS', 'a false broker is not believed'])
  })

  it('take over the agents of one that is unplugged, and do nothing twice when it is back', () => {
    assert.deepEqual(runInside('hosts'), [
      'three hosts, agents on two of them',
      'one is unplugged, and the other has its agents',
      'healed: one brain',
      'each effect once',
    ])
  })
})
