/** The chains of nodes that joined a mesh from this data folder: all that can be verified of its trail where its authority is not. */
import { existsSync } from 'node:fs'
import { readChain } from '../../mesh/audit/chain.js'
import { type Fault, TrailReader } from '../../mesh/audit/reader.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import type { DataPaths } from '../data-folder.js'
import { nodeFiles } from '../member/member.js'

export interface OwnVerdict {
  ok: boolean
  nodes: string[]
  records: number
  events: number
  /** Events that are not known to stand on the stream. */
  unsent: number
  faults: Fault[]
}

/** Trusts the root key that the nodes joined by. What the stream has is not looked at: members cannot read it. */
export function verifyOwnChains(folder: DataPaths): OwnVerdict {
  const verdict: OwnVerdict = { ok: true, nodes: [], records: 0, events: 0, unsent: 0, faults: [] }
  for (const name of folder.nodes()) {
    const files = nodeFiles(folder, name)
    if (!existsSync(files.credentials)) continue
    const { rootKey, certificate } = readCredentials(files.credentials, undefined)
    const { records, sent } = readChain(files.chain)
    const place = `chain file of node ${name}`
    const taken = new TrailReader(rootKey, verdict.faults).follow(records, place)
    const stranger = taken.find(({ producer }) => producer !== certificate.holder)
    if (stranger) verdict.faults.push({ place, what: `its record ${stranger.number} is of another node` })
    else if (taken.length < records.length && verdict.faults.length === 0)
      verdict.faults.push({ place, what: 'a record stands in it twice' })
    if (sent > records.length)
      verdict.faults.push({ place, what: `it holds ${records.length} whole records; ${sent} were sent to the stream` })
    verdict.nodes.push(name)
    verdict.records += taken.length
    verdict.events += taken.reduce((sum, { count }) => sum + count, 0)
    verdict.unsent += taken.slice(sent).reduce((sum, { count }) => sum + count, 0)
  }
  verdict.ok = verdict.faults.length === 0
  return verdict
}
