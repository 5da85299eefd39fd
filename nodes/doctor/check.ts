/** What a check is and what it finds. A finding says what is so, why that is a fault, and what to do; a check that finds nothing is well. */
import type { Config } from '../config.js'

/** `fault`: something does not work, or will not at the next start. `note`: it works, and somebody should know. */
export type Severity = 'fault' | 'note'

export interface Finding {
  severity: Severity
  what: string
  why: string
  todo: string
  /** Set where it can be put right without a loss and without asking; resolves to what was done. */
  mend?: () => Promise<string> | string
}

/** What is looked at. */
export interface Patient {
  /** The data folder of a mesh, or of a node that joined one; perhaps not there yet. */
  data: string
  config: Config
  /** Milliseconds since 1970. */
  now: () => number
  /** Of the Node that runs this: "20.11.0". */
  nodeVersion: string
}

export interface Check {
  name: string
  /** What is well where it finds nothing: "Node is new enough". */
  well: string
  /** It is about what a mesh has left in the data folder: where there is none, there is nothing that could be well. */
  ofMesh?: true
  look(patient: Patient): Promise<Finding[]> | Finding[]
}

export const fault = (what: string, why: string, todo: string): Finding => ({ severity: 'fault', what, why, todo })

export const note = (what: string, why: string, todo: string): Finding => ({ severity: 'note', what, why, todo })
