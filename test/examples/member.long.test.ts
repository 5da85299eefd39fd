/** The example of a program that joins a mesh that runs: two of them, and one that comes back. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { Machine } from '../nodes/machine.js'

const example = join(installation, 'dist', 'examples', 'member.js')
const home = new Machine()
const running = new Set<ChildProcess>()
after(async () => {
  for (const child of running) child.kill('SIGKILL')
  await home.remove()
})

/** What it says first. */
async function start(invitation: string, folder: string) {
  const child = spawn(process.execPath, [example, invitation, join(home.data, '..', folder)])
  running.add(child)
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const ended = once(child, 'exit').then(([status]) => ({ status, said }))
  const line = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended.then(() => undefined)])
  const stop = async () => {
    child.kill('SIGTERM')
    return ended
  }
  return { line: line?.[0] as string | undefined, ended, stop }
}

it('serves other programs, comes back without an invitation, and takes none twice', async () => {
  await home.up()
  const [first, second] = [await home.invite('--name', 'one'), await home.invite('--name', 'two')]
  const one = await start(first, 'one')
  assert.equal(one.line, 'Hello one, you are number 1.')
  const two = await start(second, 'two')
  assert.equal(two.line, 'Hello two, you are number 2.')
  assert.ok((await home.names()).includes('two'))
  assert.equal((await two.stop()).status, 0)
  assert.ok(!(await home.names()).includes('two'))
  const again = await start('', 'two')
  assert.equal(again.line, 'Hello two, you are number 3.')
  const other = await start(first, 'three')
  assert.match((await other.ended).said, /DENIED|invitation/)
  for (const each of [again, one]) assert.equal((await each.stop()).status, 0)
})
