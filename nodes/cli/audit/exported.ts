/** What `clawmesh audit verify --export` finds, and says: with the root key alone, and with what lies where the mesh was made. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { missingCheckpoints, readCheckpoints } from '../../../mesh/audit/checkpoint.js'
import { Opener } from '../../../mesh/audit/opener.js'
import { compareWithCheckpoints, type Part, type Vouched } from '../../../mesh/audit/vouched.js'
import { type Authority, openAuthority } from '../../../mesh/seal/authority.js'
import { fromHex, sameBytes } from '../../../mesh/seal/keys.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { checkExport, eventFiles } from '../../audit/event-file.js'
import { formatNamed } from '../../audit/format.js'
import { type DataPaths, dataPaths } from '../../data-folder.js'
import { text, type Values } from '../command.js'
import { checkPlain } from '../named-file.js'
import { dataFolder } from '../options.js'

export interface Proved {
  files: number
  events: number
  records: number
  partial: boolean
  /** Bytes behind the last whole record: of one that its writer had no time to end, or that somebody cut. */
  torn: number
  /** All that stands in the clear was compared with what the records hold. */
  compared: boolean
  /** How many of the records the checkpoints cover, of those that are at hand; undefined where none are. */
  vouched: number | undefined
  /** The time of the newest checkpoint that was compared. */
  vouchedAt: string | undefined
}

/**
 * What an exported file proves by itself: its records are signed, whole and in order. Files that follow one another must do so without a gap. Where the mesh was made
 * it is held against the authority's checkpoints too. Throws AUDIT_BROKEN.
 */
export function verifyExport(path: string, values: Values): Proved {
  const rootKey = rootKeyOf(text(values, 'root') ?? '')
  const format = formatNamed(text(values, 'format') ?? 'jsonl')
  const files = eventFiles(path)
  if (files.length === 0)
    throw new ClawmeshError('USAGE', `There is no export at ${path}.`, {
      hint: 'Name the file that was given to --to.',
    })
  for (const file of files) checkPlain(file, '--export')
  const partial = values['partial'] === true
  const folder = dataPaths(dataFolder(values))
  const authority = authorityIn(folder, rootKey, text(values, 'data') !== undefined)
  const opener = authority && new Opener(authority.auditor, authority.subjects)
  const exported = checkExport(files, format, rootKey, partial, opener)
  const vouched = authority && compareEnd(path, exported, folder, rootKey)
  return {
    files: files.length,
    events: exported.events,
    records: exported.hashes.length,
    partial,
    torn: exported.torn,
    compared: authority !== undefined,
    vouched: vouched?.records,
    vouchedAt: vouched?.at === undefined ? undefined : new Date(vouched.at).toISOString(),
  }
}

export function provedText({
  files,
  events,
  records,
  partial,
  torn,
  compared,
  vouched = 0,
  vouchedAt,
}: Proved): string {
  const extent = `${partial ? ' from where it begins and' : ''} up to where it ends`
  const readable = compared
    ? 'What it says in the clear is what the records hold.'
    : "What it says in the clear of sealed events was not compared with them: that takes the auditors' key, and the same command where the mesh was made."
  const rest =
    torn === 0
      ? ''
      : `\nBehind its last whole record stand ${torn} bytes of another: its writer was cut off there, or somebody cut the file. \`clawmesh audit export --to FILE\` goes on with it.`
  return `The export is whole${extent}: ${events} events in ${files} file${files > 1 ? 's' : ''}.\n${readable}\n${endLine({ records, compared, vouched, vouchedAt })}${rest}\n`
}

/** A file that lost its last records is a whole beginning of the trail: only who saw more can tell. So is one that was cut back to what the authority vouched for. */
function endLine({
  records,
  compared,
  vouched = 0,
  vouchedAt,
}: Omit<Proved, 'files' | 'events' | 'partial' | 'torn'>): string {
  if (!compared)
    return 'Whether its end was cut off cannot be judged: that takes the checkpoints, and the same command where the mesh was made.'
  if (vouchedAt === undefined)
    return 'Whether its end was cut off cannot be judged: no checkpoint covers it from its first record on. `clawmesh audit checkpoint` makes one.'
  return vouched === records
    ? `It holds all that the authority vouched for last, at ${vouchedAt}, and nothing behind that; whether there was more, and it was cut off, cannot be judged.`
    : `It holds all that the authority vouched for last, at ${vouchedAt}; whether anything was cut off behind its newest record, ${records - vouched} records later, cannot be judged.`
}

function compareEnd(path: string, part: Part, folder: DataPaths, rootKey: Uint8Array): Vouched {
  const [lost] = missingCheckpoints(folder, [], rootKey)
  if (lost)
    throw new ClawmeshError('AUDIT_BROKEN', `${lost.place}: ${lost.what}.`, {
      hint: 'The checkpoints themselves are not what they were. `clawmesh audit verify` shows all that is wrong.',
    })
  const vouched = compareWithCheckpoints(part, readCheckpoints(folder.checkpoints, rootKey))
  if (vouched.fault === undefined) return vouched
  throw new ClawmeshError('AUDIT_BROKEN', `The export ${path} is not all of the trail: ${vouched.fault}.`, {
    hint: 'It was made before that time, or it was cut or changed. `clawmesh audit export --to FILE` goes on with one that was not changed.',
  })
}

/** Of who verifies where the mesh was made. Throws USAGE where another mesh is named. */
function authorityIn(folder: DataPaths, rootKey: Uint8Array, isNamed: boolean): Authority | undefined {
  const isHere = existsSync(join(folder.authority, 'authority.json'))
  const authority = isHere ? openAuthority(folder.authority, Date.now()) : undefined
  if (authority && sameBytes(authority.root.publicKey, rootKey)) return authority
  if (!isNamed) return undefined
  throw new ClawmeshError('USAGE', `The authority of that root key is not in ${folder.path}.`, {
    hint: 'Leave --data out to verify what the export proves without it.',
  })
}

export function rootKeyOf(rootKey: string): Uint8Array {
  if (rootKey === '')
    throw new ClawmeshError('USAGE', '--root KEY is missing.', {
      hint: 'Where the mesh is, this prints it: clawmesh audit key',
    })
  if (!/^[0-9a-f]{64}$/.test(rootKey))
    throw new ClawmeshError('USAGE', `"${rootKey}" is no root key.`, {
      hint: 'It has 64 hex digits. Where the mesh is, this prints it: clawmesh audit key',
    })
  return fromHex(rootKey)
}
