/** The kinds of things that are looked for, each with how sensitive it is unless the rules say otherwise. */
import type { Category, Label } from '../../policies/router-label.js'

export interface KindInfo {
  readonly label: Label
  readonly category?: Category
}

export const kinds = {
  // of a person
  email: { label: 'CONFIDENTIAL', category: 'PII' },
  phone: { label: 'CONFIDENTIAL', category: 'PII' },
  ip: { label: 'CONFIDENTIAL', category: 'PII' },
  iban: { label: 'CONFIDENTIAL', category: 'PII' },
  card: { label: 'CONFIDENTIAL', category: 'PII' },
  'national-id': { label: 'CONFIDENTIAL', category: 'PII' },
  'birth-date': { label: 'CONFIDENTIAL', category: 'PII' },
  // of a person, and told by a tagger
  name: { label: 'CONFIDENTIAL', category: 'PII' },
  address: { label: 'CONFIDENTIAL', category: 'PII' },
  organisation: { label: 'CONFIDENTIAL', category: 'PII' },
  // of health
  'health-record': { label: 'RESTRICTED', category: 'PHI' },
  'health-code': { label: 'RESTRICTED', category: 'PHI' },
  'health-context': { label: 'RESTRICTED', category: 'PHI' },
  // of money
  account: { label: 'RESTRICTED', category: 'FIN' },
  statement: { label: 'RESTRICTED', category: 'FIN' },
  ledger: { label: 'RESTRICTED', category: 'FIN' },
  // what opens a door
  secret: { label: 'RESTRICTED', category: 'SECRET' },
  // what a person's own patterns find
  custom: { label: 'CONFIDENTIAL' },
  // what could not be read, or not all of it
  opaque: { label: 'CONFIDENTIAL' },
  unread: { label: 'RESTRICTED' },
  // found for others' sake: no more sensitive than what they stand in
  url: { label: 'PUBLIC' },
  date: { label: 'PUBLIC' },
} as const satisfies Record<string, KindInfo>

export type Kind = keyof typeof kinds
export const kindNames = Object.keys(kinds) as [Kind, ...Kind[]]
