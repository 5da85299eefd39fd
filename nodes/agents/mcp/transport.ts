/**
 * MCP messages to and from a program in its sandbox, one JSON line each.
 *
 * 1. What the program prints, on either stream, from one request of ours to the next is at most what its policy allows; more ends it.
 * 2. A line that is JSON but no message ends it. Any other line is noise, and counts.
 * 3. `why` says what became of it, once `onclose` was called.
 */
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  ReadBuffer,
  serializeMessage,
  type Transport,
} from '@modelcontextprotocol/client'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Resident } from '../../../sandbox/resident.js'

const lastWordsLength = 400

export class ResidentTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  why: string | undefined
  readonly #resident: Resident
  readonly #mostBytes: number
  readonly #buffer: ReadBuffer
  #printed = 0
  #lastWords = ''

  constructor(resident: Resident, mostBytes: number) {
    this.#resident = resident
    this.#mostBytes = mostBytes
    this.#buffer = new ReadBuffer({ maxBufferSize: mostBytes })
  }

  async start(): Promise<void> {
    const { output, errors, ended } = this.#resident
    output.on('data', (chunk: Buffer) => this.#take(chunk))
    errors.on('data', (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-lastWordsLength)
      this.#count(chunk)
    })
    ended
      .catch((error: unknown) => ClawmeshError.from(error).message)
      .then((how) => {
        this.why ??= this.#lastWords.trim() === '' ? how : `${how}; its last words: ${this.#lastWords.trim()}`
        this.onclose?.()
      })
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const { input } = this.#resident
    if (!input.writable) throw new Error('the server reads no more')
    if (isJSONRPCRequest(message)) this.#printed = 0
    input.write(serializeMessage(message))
  }

  async close(): Promise<void> {
    this.why ??= 'it was stopped'
    await this.#resident.stop()
  }

  #take(chunk: Buffer): void {
    if (this.why !== undefined || !this.#count(chunk)) return
    try {
      this.#buffer.append(chunk)
      for (let message = this.#buffer.readMessage(); message !== null; message = this.#buffer.readMessage())
        this.onmessage?.(message)
    } catch {
      this.#end('it sent what is no MCP message')
    }
  }

  #count({ length }: Buffer): boolean {
    this.#printed += length
    if (this.#printed <= this.#mostBytes) return true
    this.#end(`it printed more than the ${this.#mostBytes} bytes that its policy allows`)
    return false
  }

  #end(why: string): void {
    if (this.why !== undefined) return
    this.why = why
    this.onerror?.(new Error(why))
    void this.#resident.stop()
  }
}
