/**
 * The audit trail of a data folder, whether or not a mesh runs there: read from the broker that runs on its store, or else from one that is started for
 * it. Nobody else can use the folder as long as that one runs.
 */
import { existsSync } from 'node:fs'
import { type Addresses, addressesOf } from '../../mesh/address.js'
import { type Authority, openAuthority } from '../../mesh/seal/authority.js'
import { connectNats } from '../../mesh/transport/nats.js'
import type { AppendLog, Transport } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Config } from '../config.js'
import { type DataPaths, dataPaths, isMemberOnly, noMesh, openDataFolder } from '../data-folder.js'
import { openGround } from '../ground.js'
import { readAuditAccess } from './access.js'

export interface AuditSource {
  readonly authority: Authority
  readonly addresses: Addresses
  readonly folder: DataPaths
  readonly records: Transport
  readonly log: AppendLog
  /** A mesh runs, so more may come. */
  readonly isLive: boolean
  close(): Promise<void>
}

export interface SourceOptions {
  config: Config
  path: string
  progress: (text: string) => void
}

/** A mesh that is coming up has its folder before it has its broker. */
const comesUpWithinMs = 20_000
const lookAgainMs = 100

export async function openSource(options: SourceOptions): Promise<AuditSource> {
  const { path, config, progress } = options
  if (!existsSync(dataPaths(path).authority)) {
    if (isMemberOnly(path))
      throw new ClawmeshError('USAGE', `${path} is of a node that joined a mesh: members cannot read its trail.`, {
        hint: 'Type it where the mesh was made. `clawmesh audit verify` looks at the chain of this machine.',
      })
    throw noMesh(path)
  }
  for (const until = performance.now() + comesUpWithinMs; ; ) {
    try {
      const folder = openDataFolder(path)
      try {
        const ground = await openGround({ config, folder, port: 0, progress })
        const close = () => ground.close().finally(() => folder.release())
        return sourceOf({ ...ground, folder, isLive: false, close })
      } catch (error) {
        folder.release()
        throw error
      }
    } catch (error) {
      if (!(error instanceof ClawmeshError && error.code === 'DATA_IN_USE')) throw error
      const live = await openLiveSource(path)
      if (live) return live
      if (performance.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
    }
  }
}

/** Undefined if no broker runs there now. */
export async function openLiveSource(path: string): Promise<AuditSource | undefined> {
  const folder = dataPaths(path)
  const access = readAuditAccess(folder.auditAccess)
  if (!access) return undefined
  const authority = openAuthority(folder.authority, Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const records = await connectNats({ ...access, name: 'auditor' })
  return sourceOf({ authority, addresses, folder, records, isLive: true, close: () => records.close() })
}

const sourceOf = (parts: Omit<AuditSource, 'log'>): AuditSource => ({
  ...parts,
  log: parts.records.log(parts.addresses.auditStream),
})
