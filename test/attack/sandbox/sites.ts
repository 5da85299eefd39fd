/**
 * What attempts at the network aim at, all on loopback: a server that says "!" and is never to be reached, by TCP or UDP, once for attempts outside of the
 * sandbox and once for those inside; one that says "." and is allowed; one that is allowed by the one of its names; and names.
 */
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { parseProfile } from '../../../policies/profile.js'
import { Egress } from '../../../sandbox/egress/egress.js'
import { resolver } from '../../../sandbox/egress/resolve.js'
import { type NameServer, nameServer } from '../../sandbox/name-server.js'

export interface Sites {
  /** What an attempt is told, as attempts/network.h has it. */
  readonly outside: string
  readonly inside: string
  readonly names: NameServer
  /** How often the one that only attempts inside are told of was reached. */
  reached(): number
  /** The rule by which a program may connect to what is allowed. */
  rule(program: string): string
  /** `opened` gets true for each connection that came about, and the reason of each that was refused or cut. */
  egress(policy: string, workspace: string, program: string, opened: unknown[]): Egress
  close(): void
}

export async function openSites(): Promise<Sites> {
  const counts = { outside: 0, inside: 0, open: 0 }
  const undo: (() => void)[] = []
  const listen = async (greeting: string, whose: keyof typeof counts): Promise<number> => {
    const server = createServer((socket) => {
      counts[whose] += 1
      socket.on('error', () => undefined)
      socket.end(greeting)
    })
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    const { port } = server.address() as AddressInfo
    const socket = createSocket('udp4')
    socket.on('message', (_, from) => {
      counts[whose] += 1
      socket.send(greeting, from.port, from.address)
    })
    socket.bind(port, '127.0.0.1')
    await once(socket, 'listening')
    undo.push(
      () => server.close(),
      () => socket.close(),
    )
    return port
  }
  const [outside, inside, open] = [await listen('!', 'outside'), await listen('!', 'inside'), await listen('.', 'open')]
  // It goes by the bytes alone, wherever they stand. Of hellos that ask for what is allowed it always wants another.
  const share = async (whose: 'outside' | 'inside'): Promise<number> => {
    const server = createServer((socket) => {
      let said = Buffer.alloc(0)
      let asked = false
      socket.on('error', () => undefined)
      socket.on('data', (piece) => {
        said = Buffer.concat([said, piece])
        const messages = messagesIn(said)
        const isHidden = messages.includes('hidden.example.org')
        if (!isHidden && !asked && messages.includes('open.example.org')) {
          asked = true
          socket.write(helloAgain)
        }
        if (!isHidden) return
        counts[whose] += 1
        socket.end('!')
      })
    })
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    undo.push(() => server.close())
    return (server.address() as AddressInfo).port
  }
  const shared = { outside: await share('outside'), inside: await share('inside') }
  const forSecrets = await nameServer({ 'open.example.org': ['127.0.0.1'], 'secret.tunnel.example.org': ['127.0.0.1'] })
  const names = await nameServer({ 'open.example.org': ['127.0.0.1'], 'secret.tunnel.example.org': ['127.0.0.1'] })
  undo.push(names.close, forSecrets.close)
  return {
    outside: `127.0.0.1 ${outside} ${open} ${forSecrets.port} ${shared.outside}`,
    inside: `127.0.0.1 ${inside} ${open} ${names.port} ${shared.inside}`,
    names,
    reached: () => counts.inside,
    rule: (program) => `network_policies:
  open:
    endpoints:
      - { host: open.example.org, ports: [${open}, ${shared.inside}], allowed_ips: [127.0.0.1] }
      - { host: 127.0.0.1, port: ${open}, allowed_ips: [127.0.0.1] }
    binaries: [{ path: "${program}" }]
`,
    egress: (policy, workspace, program, opened) =>
      new Egress({
        profile: parseProfile(policy),
        workspace,
        own: { program, names: [] },
        resolve: resolver([names.place]),
        record: (_, facts) => opened.push(facts['opened'] ?? facts['reason']),
      }),
    close: () => {
      for (const step of undo) step()
    },
  }
}

/** Without the headers of records, so that a name in pieces is whole again. */
function messagesIn(said: Buffer): string {
  let text = ''
  for (let at = 0, end = 0; at + 5 <= said.length; at = end) {
    end = at + 5 + said.readUInt16BE(at + 3)
    text += said.toString('latin1', at + 5, end)
  }
  return text
}

/** What a server of TLS 1.3 says that wants another hello (RFC 8446, 4.1.3): a record, its message, and the bytes by which it is known. */
const helloAgain = Buffer.concat([
  Buffer.from([22, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3]),
  createHash('sha256').update('HelloRetryRequest').digest(),
  Buffer.from([0, 0x13, 1, 0, 0, 0]),
])
