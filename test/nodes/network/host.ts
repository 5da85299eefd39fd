/** Runs in a network namespace of its own, as `network.long.test.ts` starts it: the first host. Says on stdout what has held. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createConnection, createServer } from 'node:net'
import { eventually } from '../../kit/eventually.js'
import { Machine } from '../machine.js'

const [home, guest, cheated] = [new Machine(), new Machine(), new Machine()]
const here = '10.77.0.1'
const ip = (...args: string[]) => execFileSync('ip', args)
const done = (what: string) => process.stdout.write(`${what}\n`)

// The other host is a namespace that a sleeping process holds.
const holder = spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' })
const there = ['nsenter', '--target', String(holder.pid), '--net']
try {
  await eventually(() => {
    const own = execFileSync('readlink', ['/proc/self/ns/net']).toString()
    assert.notEqual(execFileSync('readlink', [`/proc/${holder.pid}/ns/net`]).toString(), own)
  })
  ip('link', 'set', 'lo', 'up')
  ip('link', 'add', 'name', 'cable', 'type', 'veth', 'peer', 'name', 'far')
  ip('link', 'set', 'far', 'netns', String(holder.pid))
  ip('addr', 'add', `${here}/24`, 'dev', 'cable')
  ip('link', 'set', 'cable', 'up')
  const [nsenter = '', ...into] = there
  const onOther = (...args: string[]) => execFileSync(nsenter, [...into, ...args])
  onOther('ip', 'link', 'set', 'lo', 'up')
  onOther('ip', 'addr', 'add', '10.77.0.2/24', 'dev', 'far')
  onOther('ip', 'link', 'set', 'far', 'up')

  await home.up('--name', 'home', '--listen', '0.0.0.0:4222')
  const invitation = await home.invite()
  assert.match(await greeting(4222), /"tls_required":true/)
  await guest.start(['join', invitation, '--name', 'guest'], there)
  assert.deepEqual(await home.names(), ['guest', 'home', 'operator'])
  done('joined over TLS')

  // Whoever sits at the broker's address and is not the broker: it shows a certificate of its own and gets nothing.
  const forged = await falseBroker()
  const diverted = await home.do('invite', '--json')
  assert.equal(diverted.status, 0)
  await home.stop()
  await home.up('--advertise', `${here}:${forged.port}`)
  const wrong = await home.invite()
  const before = forged.bytes()
  const failure = await cheated.start(['join', wrong, '--name', 'cheated'], there).catch((error: Error) => error)
  // The advertised address is false, the others are true: it goes to the true one.
  assert.ok(!(failure instanceof Error), String(failure))
  assert.equal(forged.bytes(), before, 'the false broker was told something')
  assert.ok(forged.met() > 0, 'nobody came by the false broker')
  await cheated.stop()
  done('a false broker is not believed')
} finally {
  for (const machine of [guest, cheated, home]) await machine.remove()
  holder.kill('SIGKILL')
}
process.exit(0)

function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, here)
    socket.once('error', reject)
    socket.once('data', (chunk) => {
      socket.destroy()
      resolve(chunk.toString('latin1'))
    })
  })
}

/** Greets as a broker with TLS does, and counts what it is told after the handshake would have begun. */
async function falseBroker() {
  let met = 0
  let told = 0
  const server = createServer((socket) => {
    met += 1
    socket.on('error', () => undefined)
    // Not a TLS server at all: what comes is the first flight of a handshake, which says nothing of us.
    socket.on('data', (chunk) => {
      if (chunk[0] !== 0x16) told += chunk.length
      socket.destroy()
    })
    socket.write('INFO {"server_id":"X","version":"2.9.10","tls_required":true,"max_payload":1048576}\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, here, resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { port, met: () => met, bytes: () => told }
}
