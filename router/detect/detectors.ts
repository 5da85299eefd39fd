/** All that looks for something. To add a detector is to add it here, and its kind in kind.ts. */
import { dates } from './date.js'
import { finance } from './finance.js'
import { health } from './health.js'
import { cards, ibans, nationalIds } from './number.js'
import { emails, ips, urls } from './online.js'
import { phones } from './phone.js'
import type { Found, Reading } from './reading.js'
import { secrets } from './secret.js'

export interface DetectorSettings {
  /** Where national telephone numbers are read: ISO codes of countries, the likeliest first. */
  readonly regions: readonly string[]
}

export interface Detector {
  readonly name: string
  /** Asked for one find after the other, and no further than anybody wants to know. */
  find(reading: Reading, settings: DetectorSettings): Iterable<Found>
}

export const detectors: readonly Detector[] = [
  { name: 'secret', find: secrets },
  { name: 'email', find: emails },
  { name: 'url', find: urls },
  { name: 'ip', find: ips },
  { name: 'iban', find: ibans },
  { name: 'card', find: cards },
  { name: 'national-id', find: nationalIds },
  { name: 'date', find: dates },
  { name: 'phone', find: (reading, { regions }) => phones(reading, regions) },
  { name: 'health', find: health },
  { name: 'finance', find: finance },
]
