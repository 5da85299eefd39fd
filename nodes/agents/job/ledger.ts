/** Reads the results of `check_entries` and adds them up. Pure. */
import { z } from 'zod'
import type { Report } from './worker.js'

const faultSchema = z.object({ line: z.number().int(), receipt: z.string(), reason: z.string() })

const checkedFileSchema = z.object({
  entries: z.number().int(),
  valid: z.number().int(),
  totalCents: z.number().int(),
  faulty: z.array(faultSchema),
})

export interface CheckedFile extends z.output<typeof checkedFileSchema> {
  file: string
}

export interface Fault extends z.output<typeof faultSchema> {
  file: string
}

export interface Ledger {
  files: CheckedFile[]
  entries: number
  totalCents: number
  faulty: Fault[]
}

/** A report that is about the entries of exactly this file; undefined if the worker did something else. */
export function readCheckedFile(file: string, { call, outcome }: Report): CheckedFile | undefined {
  if (call.name !== 'check_entries' || call.arguments['path'] !== file || outcome.status !== 'done') return undefined
  const checked = checkedFileSchema.safeParse(outcome.result)
  return checked.success ? { file, ...checked.data } : undefined
}

export function addUp(files: CheckedFile[]): Ledger {
  const sorted = [...files].sort((a, b) => a.file.localeCompare(b.file))
  return {
    files: sorted,
    entries: sum(sorted.map(({ entries }) => entries)),
    totalCents: sum(sorted.map(({ totalCents }) => totalCents)),
    faulty: sorted.flatMap(({ file, faulty }) => faulty.map((fault) => ({ file, ...fault }))),
  }
}

export const euros = (cents: number): string =>
  `${(cents / 100).toLocaleString('en', { minimumFractionDigits: 2 })} EUR`

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
