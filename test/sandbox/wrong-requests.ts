/** A program of its own, whose standard error is the daemon's too: sends a pool what no client would, and then what one would. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { parseProfile } from '../../policies/profile.js'
import { Deeds } from '../../sandbox/deeds.js'
import { Egress } from '../../sandbox/egress/egress.js'
import { encodeOrder, encodeRequest, FrameReader } from '../../sandbox/frames.js'
import { handOver } from '../../sandbox/opens/hand.js'
import { Opens } from '../../sandbox/opens/opens.js'
import { wantedFile } from '../../sandbox/opens/wanted.js'
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
  'identity',
  'unchanged',
  'end',
  'argument',
  'wall_ms',
  'link',
  'opens',
  'hand',
  'change',
  'mode',
  'times',
  'output',
  'endless',
  'degraded',
  'output_bytes',
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
  const text = Buffer.from(right.text)
  const filter = Buffer.from(right.filter)
  const strings = right.text.toString().split('\0').slice(0, -1)
  const joined = () => encodeRequest({ text: Buffer.from(`${strings.join('\0')}\0`), filter })
  const spoilIn = (bytes: Buffer) => {
    for (let times = 1 + upTo(4); times > 0; times -= 1) bytes[upTo(bytes.length)] = upTo(256)
    return encodeRequest({ text, filter })
  }
  switch (upTo(8)) {
    case 0:
      return spoilIn(text)
    case 1:
      return encodeRequest({ text: text.subarray(0, upTo(text.length)), filter })
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
      const lying = encodeRequest(right, 'input')
      lying.writeUInt32LE(upTo(2 ** 32), 4 * upTo(3))
      return lying
    }
    case 5:
      return encodeRequest({
        text,
        filter: filter.subarray(0, upTo(2) ? 8 * upTo(filter.length / 8) : upTo(filter.length)),
      })
    case 6:
      return spoilIn(filter)
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

/** Orders that no client would give to an action that waits for one. */
const networked =
  'network_policies: { a: { endpoints: [{ host: a.example.org, port: 1 }], binaries: [{ path: /bin/x }] } }'
const sleeping = await plan(`${readOnly}\n${networked}`, workspace, { program: '/usr/bin/sleep', args: ['0.05'] })
/** Each has a door of its own. */
const waiting = (round: number) =>
  encodeSpec(sleeping, { network: true, deeds: true, opens: { holding: 'all', door: `${round}`.padStart(32, 'a') } })
const wrongOrders = [
  'allow 1 127.0.0.1 1',
  'allow 4294967296 ::1 99999',
  `allow 1 ${'1'.repeat(500)} 1`,
  'allow 1 127.0.0.1 1 tlstls',
  'pass 1 5',
  'pass 1 4294967295',
  'more 1',
  'cut 1',
  'cut 4294967295',
  'refuse 1 13',
  'refuse -1 -1',
  'allow',
  'continue 1',
  'continue 0',
  'asked 1',
  'done 1',
  'done 4294967295',
  'lasts 1',
  'asked 4294967295',
  'refuse 1 99999',
  '',
  '\0',
]
function order(): Buffer {
  const whole = encodeOrder(upTo(2) ? 'network' : 'open', Buffer.from(wrongOrders[upTo(wrongOrders.length)] ?? ''))
  switch (upTo(5)) {
    case 0:
      return encodeOrder('names', Buffer.alloc(upTo(700), 7))
    case 1:
      return encodeOrder('input', Buffer.alloc(upTo(3)))
    case 2:
      whole[upTo(whole.length)] = upTo(256)
      return whole
    default:
      return whole
  }
}
let ordered = 0
for (let round = 0; round < 40; round += 1) {
  const said = await send(Buffer.concat([encodeRequest(waiting(round)), ...Array.from({ length: upTo(8) }, order)]))
  assert.match(said, /^usage /m, said)
  ordered += 1
}

const daemon = await pool.pid()
for (let round = 0; round < 12; round += 1) {
  const script = `cat; echo ${round} >&2; exit ${round}`
  const { out, err, exitCode } = await shell(programs, workspace, script, { pool, stdin: 'x'.repeat(round * 20_000) })
  assert.deepEqual([out.length, err, exitCode], [round * 20_000, `${round}\n`, round])
}
const reached = await overNetwork()
const opened = await beyondPolicy()
assert.equal(await pool.pid(), daemon)
process.stdout.write(
  `${wrong} wrong requests: ${refused} refused, the rest ran; ${ordered} took wrong orders; 12 actions ran, ${reached} with a network, ${opened} with files that were asked for; one daemon\n`,
)
pool.close()

/** Actions that open what a person allows and what he does not, many at once, and make a folder; and requests for a file at a door where nobody is. */
async function beyondPolicy(): Promise<number> {
  const { folder, workspace: own } = await newStage('/var/tmp')
  const letter = join(folder, 'letter')
  await writeFile(letter, 'dear\n')
  const policy = `${programs}\nask: [{ read: / }, { write: / }]`
  const file = await wantedFile(letter, 0)
  assert.ok(file)
  await assert.rejects(handOver({ door: 'b'.repeat(32), id: 1, file, flags: 0, mode: 0 }, pool), /nobody waits for/)
  let whole = 0
  for (let round = 0; round < 4; round += 1) {
    const { mounts } = await plan(policy, own, { program: '/bin/sh', args: [] })
    const opens = new Opens({
      profile: parseProfile(policy),
      workspace: own,
      mounts,
      pool,
      ask: async ({ path, operation }) =>
        path === letter || operation === 'make-folder' ? 'allow' : { refusedBy: 'Grace' },
    })
    const script = `for i in 1 2 3 4; do cat ../letter & done; wait; echo x > ../made || true; mkdir ../folder-${round} || echo no`
    const { out, err } = await shell(policy, own, script, { pool, opens, deeds: new Deeds() })
    assert.equal(out, 'dear\n'.repeat(4), err)
    whole += 1
  }
  return whole
}

/** Actions that connect: to what is allowed, to what is not, and to what is not there, many at once. */
async function overNetwork(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).end('x'.repeat(100_000)))
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const { port } = server.address() as AddressInfo
  const policy = `${programs}
network_policies:
  here: { endpoints: [{ host: 127.0.0.1, ports: [${port}, 1], allowed_ips: [127.0.0.1] }], binaries: [{ path: "/usr/bin/perl*", script: "*" }] }`
  const script = `use IO::Socket::INET; $SIG{PIPE} = 'IGNORE'; for my $said ("\\x16\\x03\\x01\\0\\x05\\1", "\\x16" x 40000, "") { my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => ${port}); $s->autoflush(1); print $s $_ for split //, substr($said, 0, 6); print $s $said; shutdown($s, 1); sysread($s, my $piece, 9) } for my $p (${port}, 1, 2, ${port}) { my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $p) or next; print $s "hello"; my $n = 0; while (my $got = sysread($s, my $piece, 65536)) { $n += $got } print "$n\\n" }`
  const resolve = async (host: string) => [host]
  let whole = 0
  if (existsSync('/usr/bin/perl'))
    for (let round = 0; round < 4; round += 1) {
      const egress = new Egress({ profile: parseProfile(policy), workspace, own: { program: '', names: [] }, resolve })
      const script4 = `for i in 1 2 3 4; do perl -e '${script}' & done; wait`
      const { out, err } = await shell(policy, workspace, script4, { pool, egress })
      assert.equal(out, '100000\n'.repeat(8), err)
      whole += 1
    }
  server.close()
  return whole
}

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
