/** Brings the events of a data folder's trail to a sink, from where the sink stands on. */
import { setTimeout } from 'node:timers/promises'
import type { TrailReader } from '../../mesh/audit/reader.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readTrail, type TrailEvent } from './read.js'
import { type AuditSource, openLiveSource, openSource, type SourceOptions } from './source.js'

/** Where events go: a file, a collector, a terminal. It holds the reader, whose state goes with what it has taken. */
export interface Sink {
  readonly reader: TrailReader
  throwIfFaulty(): void
  /** The stream message that was taken last, perhaps not to its end; 0 for none. */
  readonly after: number
  append(events: TrailEvent[]): void | Promise<void>
  close(): void
}

export interface ConsumeOptions extends SourceOptions {
  /** Made when the mesh is known; closed at the end. */
  sink: (source: AuditSource) => Sink | Promise<Sink>
  /** Goes on until the signal with what comes, over the end and the beginning of meshes. */
  follow: boolean
  signal: AbortSignal
}

const lookAgainMs = 500

/** Resolves to the number of events that the sink took. */
export async function consume(options: ConsumeOptions): Promise<number> {
  const { follow, signal } = options
  let taken = 0
  let sink: Sink | undefined
  try {
    for (let source: AuditSource | undefined = await openSource(options); source; ) {
      sink ??= await options.sink(source)
      taken += await drain(source, sink, options)
      source = follow ? await nextSource(options) : undefined
    }
    return taken
  } catch (error) {
    if (signal.aborted && error === signal.reason) return taken
    throw error
  } finally {
    sink?.close()
  }
}

async function drain(source: AuditSource, sink: Sink, { follow, signal }: ConsumeOptions): Promise<number> {
  const { reader, after } = sink
  const { log, authority } = source
  let taken = 0
  try {
    const trail = readTrail({
      log,
      authority,
      reader,
      after,
      throwIfFaulty: () => sink.throwIfFaulty(),
      ...(follow && source.isLive ? { follow: signal } : {}),
    })
    for await (const events of trail) {
      await sink.append(events)
      taken += events.length
      if (signal.aborted) break
    }
  } catch (error) {
    // A mesh that ends is no failure for who waits for the next.
    if (!(follow && error instanceof ClawmeshError && error.code === 'BROKER_UNAVAILABLE')) throw error
  } finally {
    await source.close()
  }
  return taken
}

/** The next mesh that runs on the folder; never starts a broker, which would keep a mesh from starting. */
async function nextSource({ path, signal }: ConsumeOptions): Promise<AuditSource | undefined> {
  while (!signal.aborted) {
    const source = await openLiveSource(path).catch(() => undefined)
    if (source) return source
    await setTimeout(lookAgainMs, undefined, { signal }).catch(() => undefined)
  }
  return undefined
}
