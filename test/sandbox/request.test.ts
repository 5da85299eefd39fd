/** Requests that are no whole request: what is missing, or is meant for something else, is refused, and nothing is run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWorker } from '../../sandbox/exchange.js'
import { encodeRequest, FrameReader } from '../../sandbox/frames.js'
import { encodeChange, encodeSpec, type Spec } from '../../sandbox/spec.js'
import { newStage, plan, pool, programs } from './stage.js'

/** What the worker reports. */
async function answerTo(request: Spec, degraded = false): Promise<string> {
  const { socket } = await findWorker({ pool, degraded })
  const frames = new FrameReader()
  const said: string[] = []
  socket.on('data', (piece: Buffer) => {
    for (const { kind, bytes } of frames.read(piece)) said.push(`${kind} ${bytes}`)
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(encodeRequest(request))
  await closed
  return said.join('\n')
}

test('an action has a filter, an errand none, and each mode its own', async () => {
  const { workspace } = await newStage()
  const decided = await plan(programs, workspace, { program: '/usr/bin/echo', args: ['ran'] })
  const right = encodeSpec(decided)
  const text = (change: (spec: string) => string) => ({ ...right, text: Buffer.from(change(`${right.text}`)) })
  const filter = (bytes: Buffer) => ({ ...right, filter: bytes })
  const without = (key: string) => text((spec) => spec.replace(new RegExp(`\0${key}\0[^\0]+`), ''))
  const mount = { access: 'rw', kind: 'folder', source: workspace, target: workspace } as const
  const numbers = { mode: 0o777, device: 0n, inode: 0n, toDevice: 0n, toInode: 0n }
  const errand = encodeChange(mount, { operation: 'make-folder', name: 'made', to: '', ...numbers })
  const wrong: [request: Spec, said: RegExp, degraded?: boolean][] = [
    [filter(Buffer.alloc(0)), /^report failed spec the filter is missing$/],
    [filter(right.filter.subarray(0, 12)), /^report failed spec the filter is not a number of instructions/],
    [filter(Buffer.alloc(8 * 4097)), /^report failed spec the filter is not a number of instructions/],
    // An instruction that there is not, and one that runs past the end: the kernel takes neither.
    [filter(Buffer.alloc(8, 0xff)), /^report failed seccomp cannot install the filter/m],
    [filter(right.filter.subarray(0, 8)), /^report failed seccomp cannot install the filter/m],
    [{ ...errand, filter: right.filter }, /^report failed spec an errand takes .* no filter$/],
    [encodeSpec(decided, { degraded: true }), /^report failed spec what is for an action without namespaces$/],
    [right, /^report failed namespaces the filter is one for an action with namespaces$/, true],
    [without('output_bytes'), /^report failed spec output_bytes is missing$/],
    [text((spec) => spec.replace(/output_bytes\0\d+/, 'output_bytes\x000')), /^report failed spec output_bytes '0'/],
    [text((spec) => spec.replace(/output_bytes\0\d+/, 'output\0short')), /^report failed spec output 'short'/],
  ]
  for (const [request, said, degraded] of wrong) {
    const answer = await answerTo(request, degraded)
    assert.match(answer, said)
    assert.doesNotMatch(answer, /^output/m)
  }
  assert.match(await answerTo(right), /^output ran\n\nreport exit 0\nreport usage /)
})
