/** A program of its own, whose standard error is the daemon's too: sends a pool what no client would, and then what one would. */
import assert from 'node:assert/strict'
import { encodeRequest, FrameReader } from '../../sandbox/frames.js'
import { Pool } from '../../sandbox/pool.js'
import { encodeSpec } from '../../sandbox/spec.js'
import { newStage, plan, programs, shell } from './stage.js'

const [program = ''] = process.argv.slice(2)
const wrong = 300
const lanes = 2

const { workspace } = await newStage()
const pool = new Pool({ program, idle: 2 })
// Nothing of it can be written, so that a request which is still understood changes nothing.
const readOnly = 'filesystem_policy: { read_only: [/usr, /bin, /lib, /lib64] }\nlimits: { wall_ms: 2000 }'
const right = encodeSpec(await plan(readOnly, workspace, { program: '/usr/bin/true', args: [] }))

const random = generator(7)
const upTo = (most: number) => Math.floor(random() * most)
const words = [
  'mount',
  'end',
  'argument',
  'wall_ms',
  'link',
  '',
  '/',
  '/..',
  'new',
  '18446744073709551616',
  '-1',
  'x'.repeat(5000),
]

/** One of the ways in which a request can be wrong. */
function spoil(): Buffer {
  const spec = Buffer.from(right)
  const strings = right.toString().split('\0').slice(0, -1)
  const joined = () => encodeRequest(Buffer.from(`${strings.join('\0')}\0`))
  switch (upTo(6)) {
    case 0:
      for (let times = 1 + upTo(4); times > 0; times -= 1) spec[upTo(spec.length)] = upTo(256)
      return encodeRequest(spec)
    case 1:
      return encodeRequest(spec.subarray(0, upTo(spec.length)))
    case 2:
      strings.splice(upTo(strings.length), upTo(3), words[upTo(words.length)] ?? '')
      return joined()
    case 3:
      strings.splice(
        upTo(strings.length),
        0,
        ...Array.from({ length: upTo(400) }, () => ['mount', 'r', 'file', '/usr', '/usr']).flat(),
      )
      return joined()
    case 4: {
      const lying = encodeRequest(spec, 'input')
      lying.writeUInt32LE(upTo(2 ** 32), 4 * upTo(2))
      return lying
    }
    default:
      return Buffer.from(Array.from({ length: upTo(4000) }, () => upTo(256)))
  }
}

/** What the daemon's worker said of it. */
async function send(request: Buffer): Promise<string> {
  const { socket } = await pool.worker()
  const frames = new FrameReader()
  let said = ''
  socket.on('error', () => undefined)
  socket.on('data', (piece: Buffer) => {
    for (const { bytes } of frames.read(piece)) said += `${bytes}\n`
  })
  socket.end(request)
  if (!socket.closed) await new Promise((closed) => socket.once('close', closed))
  return said
}

let refused = 0
let left = wrong
await Promise.all(
  Array.from({ length: lanes }, async () => {
    while (left-- > 0) {
      const said = await send(spoil())
      if (/^failed /m.test(said)) refused += 1
      else assert.match(said, /^usage /m, said)
      process.stdout.write(/Sanitizer|runtime error/.test(said) ? said : '')
    }
  }),
)
const daemon = await pool.pid()
for (let round = 0; round < 12; round += 1) {
  const script = `cat; echo ${round} >&2; exit ${round}`
  const { out, err, exitCode } = await shell(programs, workspace, script, { pool, stdin: 'x'.repeat(round * 20_000) })
  assert.deepEqual([out.length, err, exitCode], [round * 20_000, `${round}\n`, round])
}
assert.equal(await pool.pid(), daemon)
process.stdout.write(`${wrong} wrong requests: ${refused} refused, the rest ran; 12 actions ran; one daemon\n`)
pool.close()

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
