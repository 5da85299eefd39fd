/** `clawmesh audit export`: brings audit events to a file, each once, or to a collector, each at least once. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { digest, hex, utf8 } from '../../../mesh/seal/keys.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { Collector } from '../../audit/collector.js'
import { consume, type Sink } from '../../audit/consume.js'
import { EventFile } from '../../audit/event-file.js'
import { type Format, formatNamed } from '../../audit/format.js'
import type { Place } from '../../audit/opening.js'
import { type From, placeBefore } from '../../audit/read.js'
import type { AuditSource } from '../../audit/source.js'
import { readConfig } from '../../config.js'
import { takeLock } from '../../lock.mjs'
import { type Command, text, type Values } from '../command.js'
import { checkWritable, readAddress, readNamed } from '../named-file.js'
import { dataFolder, dataOption } from '../options.js'
import { stopWhenUnread } from '../stop.js'
import { progress } from '../terminal.js'
import { fromOf, fromOption } from './from.js'

const megabyte = 1024 * 1024

export const auditExport: Command = {
  name: 'audit export',
  usage: '--to FILE|URL [--from TIME|SEQ] [--format jsonl|ocsf] [--follow] [--data DIR]',
  help: 'Brings the audit events to a file, or to an HTTP collector in the form of Splunk HEC. Started again, it goes on where it was.',
  options: {
    to: {
      type: 'string',
      value: 'FILE|URL',
      help: 'the file (each event once), or the address of the collector (each at least once, with an id)',
    },
    format: {
      type: 'string',
      value: 'jsonl|ocsf',
      help: 'one JSON object an event, plain or as OCSF 1.8.0 (default: jsonl)',
    },
    from: { ...fromOption, help: `${fromOption.help}, where nothing was exported there yet` },
    follow: { type: 'boolean', help: 'go on with what comes, until Ctrl-C' },
    data: dataOption,
    rotate: { type: 'string', value: 'MB', help: 'begin a new file when this one is larger (default: 100)' },
    keep: { type: 'string', value: 'N', help: 'of the files that were put away, the newest N stay (default: all)' },
    'token-file': { type: 'string', value: 'FILE', help: "a file that holds the collector's token" },
    state: { type: 'string', value: 'FILE', help: 'where it is kept how far the collector has acknowledged' },
    json: { type: 'boolean', help: 'print the outcome as one JSON object' },
  },
  run: async (_, values) => {
    const to = text(values, 'to')
    if (to === undefined)
      throw new ClawmeshError('USAGE', '--to is missing.', {
        hint: 'Name a file, or the http:// address of a collector.',
      })
    const format = formatNamed(text(values, 'format') ?? 'jsonl')
    const path = dataFolder(values)
    const signal = stopWhenUnread()
    const from = fromOf(values, Date.now())
    const make = /^https?:/.test(to)
      ? toCollector(to, format, values, path, signal, from)
      : toFile(resolve(to), format, values, from)
    const follow = values['follow'] === true
    const events = await consume({ config: readConfig(), path, progress, follow, signal, sink: make })
    if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, events, to })}\n`)
    else progress(`${events} events written to ${to}`)
    return 0
  },
}

/** So long a collector may take no events, of an export that is to end. */
const oneShotMs = 60_000

type MakeSink = (source: AuditSource) => Promise<Sink>

/** Looked for only where nothing is there that goes on by itself. */
const placeFor = async (source: AuditSource, from: From | undefined, file: string): Promise<Place | undefined> =>
  from === undefined || existsSync(file) ? undefined : placeBefore(source, from)

function toFile(path: string, format: Format, values: Values, from: From | undefined): MakeSink {
  const given = text(values, 'rotate')
  const rotateBytes = Number(given ?? 100) * megabyte
  if (!(rotateBytes > 0))
    throw new ClawmeshError('USAGE', `"${given}" is no size.`, { hint: 'Give --rotate in megabytes, for example 100.' })
  const kept = text(values, 'keep')
  if (kept !== undefined && !/^[1-9]\d{0,5}$/.test(kept))
    throw new ClawmeshError('USAGE', `"${kept}" is no number of files.`, { hint: 'Give --keep 1 or more.' })
  const keep = kept === undefined ? undefined : Number(kept)
  checkWritable(path, '--to')
  return async (source) => {
    const release = lock(`${path}.lock`)
    const { mesh, root } = source.authority
    const place = await placeFor(source, from, path)
    const file = new EventFile({ path, format, mesh, rootKey: root.publicKey, rotateBytes, keep, from: place })
    return closingToo(file, release)
  }
}

function toCollector(
  to: string,
  format: Format,
  values: Values,
  path: string,
  signal: AbortSignal,
  from: From | undefined,
): MakeSink {
  const url = readAddress(to, '--to')
  const tokenFile = text(values, 'token-file')
  const token = tokenFile === undefined ? undefined : readNamed(tokenFile, '--token-file').trim()
  const name = `collector-${hex(digest(utf8(to))).slice(0, 16)}.json`
  const stateFile = resolve(text(values, 'state') ?? join(path, name))
  checkWritable(stateFile, '--state')
  return async (source) => {
    const release = lock(`${stateFile}.lock`)
    const { authority } = source
    const collector = new Collector({
      from: await placeFor(source, from, stateFile),
      url,
      token,
      format,
      mesh: authority.mesh,
      rootKey: authority.root.publicKey,
      stateFile,
      signal,
      // Nobody may be there to see that it goes on.
      ...(values['follow'] === true ? {} : { giveUpMs: oneShotMs }),
      onRetry: (reason, inMs) => progress(`the collector did not take the events (${reason}); again in ${inMs} ms`),
    })
    return closingToo(collector, release)
  }
}

/** Two writers of one file would write each event twice. */
function lock(path: string): () => void {
  const taken = takeLock(path)
  if ('release' in taken) return () => taken.release()
  throw new ClawmeshError(
    'DATA_IN_USE',
    `Another export writes in ${dirname(path)} already (process ${taken.holder}).`,
    {
      hint: 'Stop that one first, or export to another place.',
    },
  )
}

const closingToo = (sink: Sink, release: () => void): Sink => ({
  reader: sink.reader,
  throwIfFaulty: () => sink.throwIfFaulty(),
  get after() {
    return sink.after
  },
  append: (events) => sink.append(events),
  close: () => {
    sink.close()
    release()
  },
})
