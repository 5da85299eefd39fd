/**
 * Names inside a sandbox. Each that may be used gets an address of the network 127.1, which means that name and nothing else; no name is looked up for it,
 * so nothing leaves by asking. Of the DNS this is what a C library asks: one question, answered from here.
 */
import { hostName } from '../../policies/network.js'

const mostNames = 4096
const headerBytes = 12
const types = { a: 1, aaaa: 28 } as const
const internet = 1
const codes = { none: 0, malformed: 1, failed: 2, unknownName: 3, refused: 5 } as const
const answerSeconds = 60

export class Names {
  readonly #addresses = new Map<string, string>()
  readonly #hosts = new Map<string, string>()

  /** Undefined where there are too many. */
  addressOf(host: string): string | undefined {
    const known = this.#addresses.get(host)
    if (known !== undefined || this.#addresses.size >= mostNames) return known
    const number = this.#addresses.size + 1
    const address = `127.1.${number >> 8}.${number & 0xff}`
    this.#addresses.set(host, address)
    this.#hosts.set(address, host)
    return address
  }

  hostOf(address: string): string | undefined {
    return this.#hosts.get(address)
  }

  /**
   * The reply to a question; undefined for what is none. `isUsable` tells whether a name may be used.
   */
  reply(question: Buffer, isUsable: (host: string) => boolean): Buffer | undefined {
    if (question.length < headerBytes || (question[2] ?? 0) & 0x80) return undefined
    const asked = readQuestion(question)
    if (!asked) return reply(question.subarray(0, headerBytes), codes.malformed)
    const { text, type, end } = asked
    const host = hostName(text)
    const repeated = question.subarray(0, end)
    if (host === undefined || !isUsable(host)) return reply(repeated, codes.unknownName)
    if (type !== types.a) return reply(repeated, codes.none)
    const address = this.addressOf(host)
    return address === undefined ? reply(repeated, codes.failed) : reply(repeated, codes.none, address)
  }
}

/** One question of the class Internet, without the shortcuts that only answers have. */
function readQuestion(message: Buffer): { text: string; type: number; end: number } | undefined {
  if (message.readUInt16BE(4) !== 1 || ((message[2] ?? 0) & 0x78) !== 0) return undefined
  const labels: string[] = []
  let at = headerBytes
  for (;;) {
    const length = message[at]
    if (length === undefined || length > 63 || at + 1 + length > message.length) return undefined
    if (length === 0) break
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const end = at + 5
  if (end > message.length || labels.some((label) => label.includes('.'))) return undefined
  if (message.readUInt16BE(at + 3) !== internet) return undefined
  return { text: labels.join('.'), type: message.readUInt16BE(at + 1), end }
}

function reply(asked: Buffer, code: number, address?: string): Buffer {
  const whole = asked.length > headerBytes
  const header = Buffer.from(asked.subarray(0, headerBytes))
  // An answer, to the same recursion as was wanted, which is available.
  header.writeUInt16BE(0x8080 | (header.readUInt16BE(2) & 0x0100) | code, 2)
  header.writeUInt16BE(whole ? 1 : 0, 4)
  header.writeUInt16BE(address === undefined ? 0 : 1, 6)
  header.writeUInt32BE(0, 8)
  if (address === undefined) return Buffer.concat([header, asked.subarray(headerBytes)])
  const record = Buffer.alloc(16)
  record.writeUInt16BE(0xc000 | headerBytes, 0)
  record.writeUInt16BE(types.a, 2)
  record.writeUInt16BE(internet, 4)
  record.writeUInt32BE(answerSeconds, 6)
  record.writeUInt16BE(4, 10)
  record.set(address.split('.').map(Number), 12)
  return Buffer.concat([header, asked.subarray(headerBytes), record])
}
