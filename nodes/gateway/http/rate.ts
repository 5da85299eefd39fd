/** How often each key may ask: a bucket of tokens that fills again with time. */
export interface Rate {
  /** Requests at once. */
  burst: number
  /** Requests a second, for as long as one likes. */
  perSecond: number
}

interface Bucket {
  tokens: number
  /** Milliseconds. */
  at: number
}

/** More names than this are never remembered; a full bucket is as good as none, so those go first. */
const mostBuckets = 1000

export class RateLimit {
  readonly #rate: Rate
  readonly #buckets = new Map<string, Bucket>()

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /** 0 if it may ask now; otherwise how many milliseconds it should wait. `now` never goes back. */
  take(name: string, now: number): number {
    const tokens = this.#tokens(this.#buckets.get(name), now)
    if (tokens < 1) return Math.ceil(((1 - tokens) / this.#rate.perSecond) * 1000)
    this.#buckets.set(name, { tokens: tokens - 1, at: now })
    if (this.#buckets.size > mostBuckets) this.#forget(now)
    return 0
  }

  get size(): number {
    return this.#buckets.size
  }

  #tokens(bucket: Bucket | undefined, now: number): number {
    const { burst, perSecond } = this.#rate
    return bucket ? Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond) : burst
  }

  #forget(now: number): void {
    for (const [name, bucket] of this.#buckets)
      if (this.#tokens(bucket, now) >= this.#rate.burst) this.#buckets.delete(name)
    for (const name of this.#buckets.keys()) {
      if (this.#buckets.size <= mostBuckets) return
      this.#buckets.delete(name)
    }
  }
}
