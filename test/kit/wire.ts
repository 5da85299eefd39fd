/** A transport whose messages somebody can drop, repeat, change or hold on their way out. */
import type { Transport } from '../../mesh/transport/transport.js'

export class Wire implements Transport {
  /** What goes out in the place of what was sent. */
  tamper: (subject: string, bytes: Uint8Array) => Uint8Array[] = (_, bytes) => [bytes]
  readonly sent: { subject: string; bytes: Uint8Array }[] = []
  readonly #inner: Transport

  constructor(inner: Transport) {
    this.#inner = inner
  }

  publish(subject: string, bytes: Uint8Array): void {
    this.sent.push({ subject, bytes: bytes.slice() })
    for (const instead of this.tamper(subject, bytes)) this.#inner.publish(subject, instead)
  }

  subscribe: Transport['subscribe'] = (subject, receive) => this.#inner.subscribe(subject, receive)
  bucket: Transport['bucket'] = (name) => this.#inner.bucket(name)
  log: Transport['log'] = (stream) => this.#inner.log(stream)
  onConnection: Transport['onConnection'] = (listener) => this.#inner.onConnection(listener)
  close: Transport['close'] = () => this.#inner.close()
}
