/**
 * The planted faults: in which file, at which entry (counted from 1), and how it differs from a good one. `amount` is in cents,
 * `written` stands in its place as it is; `receiptOf` takes the receipt of an earlier entry. All other entries are as they should be.
 */
export const faults = [
  { file: '07-travel.csv', at: 9, reason: 'date', change: { date: '2026-07-32' } },
  { file: '07-travel.csv', at: 21, reason: 'duplicate', receiptOf: 14 },
  { file: '07-travel.csv', at: 38, reason: 'limit', change: { amount: 612_400 } },
  { file: '07-office.json', at: 6, reason: 'receipt', change: { receipt: undefined } },
  { file: '07-office.json', at: 17, reason: 'amount', change: { written: '12,80' } },
  { file: '07-notes.txt', at: 4, reason: 'currency', change: { currency: 'CHF' } },
  { file: '07-notes.txt', at: 15, reason: 'duplicate', receiptOf: 3 },
  { file: '08-travel.csv', at: 3, reason: 'receipt', change: { receipt: '' } },
  { file: '08-travel.csv', at: 19, reason: 'amount', change: { written: '' } },
  { file: '08-travel.csv', at: 20, reason: 'currency', change: { currency: 'USD' } },
  { file: '08-travel.csv', at: 44, reason: 'date', change: { date: '' } },
  { file: '08-office.json', at: 11, reason: 'amount', change: { amount: 0 } },
  { file: '08-office.json', at: 30, reason: 'duplicate', receiptOf: 29 },
  { file: '08-notes.txt', at: 8, reason: 'date', change: { date: '2026-02-30' } },
  { file: '08-notes.txt', at: 18, reason: 'amount', change: { written: 'twelve' } },
  { file: '09-travel.csv', at: 12, reason: 'amount', change: { amount: -4_350 } },
  { file: '09-travel.csv', at: 27, reason: 'duplicate', receiptOf: 1 },
  { file: '09-office.json', at: 2, reason: 'date', change: { date: '2026-09-31' } },
  { file: '09-office.json', at: 24, reason: 'currency', change: { currency: 'GBP' } },
  { file: '09-office.json', at: 33, reason: 'limit', change: { amount: 500_001 } },
  { file: '09-notes.txt', at: 6, reason: 'receipt', change: { receipt: '' } },
  { file: '09-notes.txt', at: 13, reason: 'limit', change: { amount: 749_900 } },
]
