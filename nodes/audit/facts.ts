/** What the trail of a data folder says under one kind of event, for commands that count it. */
import type { z } from 'zod'
import type { EventKind } from '../../mesh/audit/event.js'
import { consume } from './consume.js'
import { strictReader } from './read.js'
import type { SourceOptions } from './source.js'

export interface FactsOptions<T> extends SourceOptions {
  kind: EventKind
  schema: z.ZodType<T>
  /** Only of this task. */
  task?: string | undefined
  signal: AbortSignal
}

export interface Facts<T> {
  /** Oldest first. */
  found: { facts: T; task: string; actor: string; node: string }[]
  /** How many do not say what one says that clawmesh writes. */
  unreadable: number
}

/** Verified as it is read: throws AUDIT_BROKEN where something of the trail does not hold. What an event says is its writer's word, and may be anything. */
export async function readFacts<T>({ kind, schema, task, ...options }: FactsOptions<T>): Promise<Facts<T>> {
  const read: Facts<T> = { found: [], unreadable: 0 }
  await consume({
    ...options,
    follow: false,
    sink: ({ authority }) => ({
      ...strictReader(authority.root.publicKey),
      after: 0,
      append: async (events) => {
        for (const event of events) {
          const { kind: its, trace, actor, facts } = event.open()
          if (its !== kind || (task !== undefined && trace !== task)) continue
          const { data } = schema.safeParse(facts)
          if (data === undefined) read.unreadable += 1
          else read.found.push({ facts: data, task: trace, actor, node: event.node })
        }
      },
      close: () => undefined,
    }),
  })
  return read
}
