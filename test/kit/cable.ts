/** What can be pulled out between a node and the broker's buckets and streams, without anybody being told: neither gets an answer until it is plugged in again. */
import type { Bucket, Transport } from '../../mesh/transport/transport.js'

export class Cable {
  #isCut = false
  /** What was sent into the cable while it was out; it comes through when it is back. */
  #held: (() => void)[] = []

  pull(): void {
    this.#isCut = true
  }

  plugIn(): void {
    this.#isCut = false
    for (const go of this.#held.splice(0)) go()
  }

  through(transport: Transport): Transport {
    const plugged = () => (this.#isCut ? new Promise<void>((resolve) => this.#held.push(resolve)) : Promise.resolve())
    return {
      ...transport,
      bucket: async (name) => {
        const bucket = await transport.bucket(name)
        const cut: Bucket = {
          ...bucket,
          get: (key) => plugged().then(() => bucket.get(key)),
          put: (key, value) => plugged().then(() => bucket.put(key, value)),
          swap: (key, value, revision) => plugged().then(() => bucket.swap(key, value, revision)),
          delete: (key, revision) => bucket.delete(key, revision),
          purge: (keys) => bucket.purge(keys),
          watch: (changed) => bucket.watch((entry) => void plugged().then(() => changed(entry))),
        }
        return cut
      },
      log: (stream) => {
        const log = transport.log(stream)
        return {
          append: (subject, id, bytes) => plugged().then(() => log.append(subject, id, bytes)),
          read: (from) => log.read(from),
          follow: (from, signal) => log.follow(from, signal),
          last: () => log.last(),
          remove: (sequence) => log.remove(sequence),
        }
      },
    }
  }
}
