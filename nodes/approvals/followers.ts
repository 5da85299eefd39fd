/** Whoever looks on. One that reads slowly misses steps in between, never the last state of a question. */
import { ClawmeshError } from '../../policies/errors.js'
import type { View } from './question.js'

const most = 128

interface Follower {
  task: string | undefined
  /** By question; what was told first goes out first. */
  news: Map<string, View>
  wake: () => void
}

export class Followers {
  readonly #followers = new Set<Follower>()

  get count(): number {
    return this.#followers.size
  }

  tell(view: View): void {
    for (const { task, news, wake } of this.#followers) {
      if (task !== undefined && task !== view.task) continue
      news.set(view.id, view)
      wake()
    }
  }

  /** Counts from the call on. Throws RATE_LIMITED where too many follow already. */
  follow(first: View[], task: string | undefined, signal: AbortSignal): AsyncIterable<View> {
    if (this.#followers.size >= most)
      throw new ClawmeshError('RATE_LIMITED', `${most} programs follow the questions already.`, {
        hint: 'End one of them.',
      })
    const wanted = first.filter((view) => task === undefined || view.task === task)
    const follower: Follower = { task, news: new Map(wanted.map((view) => [view.id, view])), wake: () => undefined }
    this.#followers.add(follower)
    return this.#read(follower, signal)
  }

  async *#read(follower: Follower, signal: AbortSignal): AsyncGenerator<View> {
    const { news } = follower
    try {
      while (!signal.aborted) {
        for (const [id, view] of news) {
          news.delete(id)
          yield view
        }
        if (news.size === 0) await woken(follower, signal)
      }
    } finally {
      this.#followers.delete(follower)
    }
  }
}

function woken(follower: Follower, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    follower.wake = done
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
  })
}
