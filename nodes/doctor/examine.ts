/** The table of checks, in the order in which they are told, and what comes of holding a patient against it. */
import { existsSync } from 'node:fs'
import { ClawmeshError } from '../../policies/errors.js'
import { dataPaths, isDataFolder } from '../data-folder.js'
import { type Check, type Finding, fault, type Patient } from './check.js'
import { folderChecks } from './folder.js'
import { machineChecks } from './machine.js'
import { membershipChecks } from './membership.js'

export const checks: readonly Check[] = [...machineChecks, ...folderChecks, ...membershipChecks]

export interface Told extends Omit<Finding, 'mend'> {
  /** Whether `--fix` puts it right. */
  mendable: boolean
  /** What was done about it. */
  mended?: string
}

export interface Diagnosis {
  check: string
  /** What is well if nothing was found. */
  well: string
  /** There is nothing that it could look at. */
  idle?: true
  findings: Told[]
}

/** @param fix mend what can be mended without a loss */
export async function examine(patient: Patient, fix: boolean, table: readonly Check[] = checks): Promise<Diagnosis[]> {
  const told: Diagnosis[] = []
  const hasMesh = isDataFolder(patient.data) || existsSync(dataPaths(patient.data).authority)
  for (const { name, well, ofMesh, look } of table) {
    if (ofMesh && !hasMesh) {
      told.push({ check: name, well, idle: true, findings: [] })
      continue
    }
    const found = await findingsOf(look, patient)
    const findings: Told[] = []
    for (const { mend, ...finding } of found)
      findings.push({ ...finding, mendable: mend !== undefined, ...(fix && mend ? await mended(mend) : {}) })
    told.push({ check: name, well, findings })
  }
  return told
}

export const isWell = (diagnoses: readonly Diagnosis[]): boolean =>
  diagnoses.every(({ findings }) =>
    findings.every(({ severity, mended: done }) => severity !== 'fault' || done !== undefined),
  )

/** A check that fails has not found that all is well. */
async function findingsOf(look: Check['look'], patient: Patient): Promise<Finding[]> {
  try {
    return await look(patient)
  } catch (error) {
    const { message, hint } = ClawmeshError.from(error)
    return [
      fault(
        `This could not be looked at: ${message}`,
        'What cannot be looked at is not well.',
        hint || 'Look at it by hand.',
      ),
    ]
  }
}

async function mended(mend: NonNullable<Finding['mend']>): Promise<{ mended?: string }> {
  try {
    return { mended: await mend() }
  } catch {
    return {}
  }
}
