/** Whose keys a person answers with: what is said where they are not an approver's, or are in use. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, it } from 'node:test'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { enrol, writeCredentials } from '../../../mesh/seal/credentials.js'
import { asPerson } from '../../../nodes/cli/approve/person.js'
import { allowing } from '../../../nodes/cli/approve/reach.js'
import { openDataFolder } from '../../../nodes/data-folder.js'
import { nodeFiles } from '../../../nodes/member/member.js'
import type { ClawmeshError } from '../../../policies/errors.js'
import type { Role } from '../../../policies/roles.js'
import { temporaryFolder } from '../../kit/mesh.js'

const authority = createAuthority()
const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A data folder with the keys of one node, and a process that has it. */
function inUse(name: string, roles: Role[]) {
  const data = temporaryFolder()
  folders.push(data)
  const folder = openDataFolder(data)
  writeCredentials(nodeFiles(folder, name).credentials, enrol(authority, { name, roles }, Date.now()))
  return folder
}

const answering = (data: string) => asPerson({ data }, () => assert.fail('nobody is joined'))

it('an approver whose keys are in use is told where to answer, and how two can', async () => {
  const folder = inUse('ada', ['approver'])
  await assert.rejects(answering(folder.path), ({ code, message, hint }: ClawmeshError) => {
    assert.equal(code, 'DATA_IN_USE')
    assert.match(message, /Another `clawmesh approve` uses the keys in/)
    assert.match(hint, /at the terminal of `clawmesh approve follow`.* --join INVITATION --data DIR/)
    return true
  })
  folder.release()
})

it('a machine that joined is told that it is no approver, whether or not it runs', async () => {
  const folder = inUse('beta', ['worker', 'sandbox'])
  const refused = ({ code, message, hint }: ClawmeshError) => {
    assert.equal(code, 'DENIED')
    assert.match(message, /is of node "beta", which is no approver: it is worker, sandbox\./)
    assert.match(hint, /invite --roles approver\. .* --join INVITATION --data DIR`\.$/)
    return true
  }
  await assert.rejects(answering(folder.path), refused)
  folder.release()
  await assert.rejects(answering(folder.path), refused)
})

it('a yes reaches as far as can be typed, and beyond that it is said how far it may', () => {
  assert.deepEqual(allowing('24h'), { answer: 'allow', reach: 'time', forMs: 86_400_000 })
  assert.deepEqual(allowing('1000x'), { answer: 'allow', reach: 'uses', uses: 1000 })
  for (const [reach, says] of [
    ['5000x', /"5000x" actions: a number of uses is 2 to 1000\./],
    ['0x', /2 to 1000\./],
    ['1x', /2 to 1000\. For this one action leave --for out\./],
    ['25h', /for 25h: it stands at most 24 hours\./],
    ['400d', /at most 24 hours\./],
    ['banana', /"banana"\. Give --for session .* 15m \(at most 24 hours\), .* 3x \(2 to 1000 uses\)\./],
    ['0m', /Give --for session/],
  ] as const)
    assert.throws(
      () => allowing(reach),
      ({ code, message, hint }: ClawmeshError) => {
        assert.equal(code, 'USAGE')
        assert.match(`${message} ${hint}`, says)
        return true
      },
    )
})
