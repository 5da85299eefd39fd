/** `clawmesh audit tail` and `audit query`: the events of a trail, verified and opened, for people and for programs. */

import { type EventKind, eventKinds } from '../../../mesh/audit/event.js'
import { erasedFacts } from '../../../mesh/audit/facts.js'
import type { Authority } from '../../../mesh/seal/authority.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { consume, type Sink } from '../../audit/consume.js'
import { plainEvent } from '../../audit/format.js'
import { eventId, strictReader, type TrailEvent } from '../../audit/read.js'
import { readConfig } from '../../config.js'
import { type Command, text, type Values } from '../command.js'
import { dataFolder, dataOption } from '../options.js'
import { printable } from '../printable.js'
import { stopWhenUnread } from '../stop.js'
import { progress } from '../terminal.js'
import { fromOf, fromOption, timeOf } from './from.js'

const options: Command['options'] = {
  data: dataOption,
  from: fromOption,
  kind: { type: 'string', value: 'KIND', help: 'only this kind (action.held), or all that begin so (action)' },
  json: { type: 'boolean', help: 'one JSON object a line' },
}

export const auditTail: Command = {
  name: 'audit tail',
  usage: '[--follow] [--from TIME|SEQ] [--kind KIND] [--json] [--data DIR]',
  help: 'Shows the newest audit events of a mesh, running or not, each verified before it is shown.',
  options: { ...options, follow: { type: 'boolean', help: 'go on with what comes, until Ctrl-C' } },
  run: (_, values) => show(values, text(values, 'from') === undefined ? shownByTail : Number.POSITIVE_INFINITY),
}

export const auditQuery: Command = {
  name: 'audit query',
  usage:
    '[--from TIME|SEQ] [--until TIME] [--kind KIND] [--trace TASK] [--node NODE] [--subject NAME] [--json] [--data DIR]',
  help: 'Shows all audit events that match, oldest first, each verified before it is shown.',
  options: {
    ...options,
    until: { type: 'string', value: 'TIME', help: 'up to a time, or an age' },
    trace: { type: 'string', value: 'TASK', help: 'only this task' },
    node: { type: 'string', value: 'NODE', help: 'only what this node wrote' },
    subject: { type: 'string', value: 'NAME', help: 'only what is about this person (`clawmesh audit subjects`)' },
  },
  run: (_, values) => show(values, Number.POSITIVE_INFINITY),
}

const shownByTail = 20

interface Filter {
  sequence: number
  since: number
  until: number
  kinds: Set<EventKind>
  trace: string | undefined
  node: string | undefined
  /** A name; and the keys that it has. */
  subject: string | undefined
  keys: ReadonlySet<string>
}

async function show(values: Values, newest: number): Promise<number> {
  const signal = stopWhenUnread()
  const filter = filterOf(values, Date.now())
  const isJson = values['json'] === true
  const follow = values['follow'] === true
  const print = (event: TrailEvent) => {
    process.stdout.write(`${isJson ? JSON.stringify({ ...plainEvent(event), id: eventId(event) }) : lineOf(event)}\n`)
  }
  // What of the past is shown is known when the present is reached: until then the newest wait here.
  const waiting: TrailEvent[] = []
  let reached = newest === Number.POSITIVE_INFINITY
  const reach = () => {
    for (const event of waiting.splice(0)) print(event)
    reached = true
  }
  await consume({
    config: readConfig(),
    path: dataFolder(values),
    progress,
    follow,
    signal,
    sink: ({ authority, log }) => {
      if (filter.subject !== undefined) filter.keys = keysOf(filter.subject, authority)
      const end = reached ? Promise.resolve(0) : log.last()
      return shower(authority.root.publicKey, async (events) => {
        for (const event of events) {
          if (!matches(event, filter)) continue
          if (reached) print(event)
          else waiting.push(event)
        }
        if (waiting.length > newest) waiting.splice(0, waiting.length - newest)
        if (!reached && (events.at(-1)?.sequence ?? 0) >= (await end)) reach()
      })
    },
  })
  reach()
  return 0
}

function shower(rootKey: Uint8Array, append: (events: TrailEvent[]) => Promise<void>): Sink {
  const { reader, throwIfFaulty } = strictReader(rootKey)
  let after = 0
  return {
    reader,
    throwIfFaulty,
    get after() {
      return after
    },
    append: async (events) => {
      await append(events)
      after = events.at(-1)?.sequence ?? after
    },
    close: () => undefined,
  }
}

function matches(event: TrailEvent, filter: Filter): boolean {
  const { sequence, since, until, kinds, trace, node, subject, keys } = filter
  if (event.sequence < sequence || (node !== undefined && event.node !== node)) return false
  const opened = event.open()
  if (opened.time < since || opened.time > until) return false
  if (subject !== undefined && !keys.has(opened.subject ?? '')) return false
  return kinds.has(opened.kind) && (trace === undefined || opened.trace === trace)
}

function lineOf(event: TrailEvent): string {
  const { time, kind, trace, actor, facts } = event.open()
  const at = new Date(time).toISOString()
  const task = trace === '' ? '' : ` ${trace}`
  const said = facts === erasedFacts ? 'erased' : JSON.stringify(facts)
  return printable(`${event.sequence} ${at} ${event.node} ${kind} ${actor}${task} ${said}`)
}

function keysOf(name: string, { subjects }: Authority): ReadonlySet<string> {
  const keys = subjects.idsOf(name)
  if (keys.length > 0) return new Set(keys)
  throw new ClawmeshError('NOT_FOUND', `Nothing is kept under the name "${name}": it has no key, or was erased.`, {
    hint: '`clawmesh audit subjects` lists the names that have one.',
  })
}

function filterOf(values: Values, now: number): Filter {
  const until = text(values, 'until')
  return {
    ...(fromOf(values, now) ?? { sequence: 0, since: Number.NEGATIVE_INFINITY }),
    until: until === undefined ? Number.POSITIVE_INFINITY : timeOf(until, now),
    kinds: kindsOf(text(values, 'kind')),
    trace: text(values, 'trace'),
    node: text(values, 'node'),
    subject: text(values, 'subject'),
    keys: new Set(),
  }
}

function kindsOf(given: string | undefined): Set<EventKind> {
  const found = eventKinds.filter((kind) => given === undefined || kind === given || kind.startsWith(`${given}.`))
  if (found.length > 0) return new Set(found)
  throw new ClawmeshError('USAGE', `"${given}" is no kind of event.`, { hint: `Kinds: ${eventKinds.join(', ')}.` })
}
