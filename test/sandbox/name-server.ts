/** A server of the DNS on loopback: answers with the addresses that a test gave to names, counts what it was asked. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'

const [typeA, typeAaaa] = [1, 28]

export interface NameServer {
  /** ADDRESS:PORT */
  readonly place: string
  readonly port: number
  /** The names, in the order in which they were asked for. */
  readonly asked: readonly string[]
  /** What each name leads to; a list of lists is answered one after another. */
  readonly names: Map<string, string[]>
  close(): void
}

export async function nameServer(given: Record<string, string[]>): Promise<NameServer> {
  const names = new Map(Object.entries(given))
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (question, from) => {
    const labels: string[] = []
    let at = 12
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const name = labels.join('.')
    const type = question.readUInt16BE(at + 1)
    asked.push(name)
    const addresses = (names.get(name) ?? []).filter((each) => isIPv4(each) === (type === typeA))
    const reply = Buffer.from(question.subarray(0, at + 5))
    reply.writeUInt16BE(names.has(name) ? 0x8180 : 0x8183, 2)
    reply.writeUInt16BE(addresses.length, 6)
    reply.writeUInt32BE(0, 8)
    const records = addresses.map((address) =>
      Buffer.concat([head(type, type === typeAaaa ? 16 : 4), bytesOf(address)]),
    )
    socket.send(Buffer.concat([reply, ...records]), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  return { place: `127.0.0.1:${port}`, port, asked, names, close: () => socket.close() }
}

function head(type: number, length: number): Buffer {
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(type, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt16BE(length, 10)
  return record
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [before = '', after = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [front, back] = [groups(before), groups(after)]
  const all = [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
