import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ledgerTruth } from './ledger-truth.js'

const ledger = fileURLToPath(new URL('../../../examples/ledger', import.meta.url))
const workspace = join(ledger, 'workspace')

interface Fault {
  file: string
  at: number
  reason: string
}

describe('the ledger', () => {
  it('is, byte for byte, what the generator writes', (t) => {
    const fresh = mkdtempSync(join(tmpdir(), 'ledger-'))
    t.after(() => rmSync(fresh, { recursive: true }))
    execFileSync(process.execPath, [join(ledger, 'generate.mjs'), fresh])
    const written = filesUnder(fresh)
    assert.deepEqual(
      [...filesUnder(workspace, 'workspace'), ...filesUnder(join(ledger, 'private'), 'private')].sort(),
      written,
    )
    for (const path of written)
      assert.deepEqual(readFileSync(join(ledger, path)), readFileSync(join(fresh, path)), path)
  })

  it('has the planted faults and no others, of every kind', async () => {
    const { faults }: { faults: Fault[] } = await import(join(ledger, 'faults.mjs'))
    const { faulty } = ledgerTruth(workspace)
    const planted = faults.map(({ file, reason }) => `q3/${file}: ${reason}`)
    assert.deepEqual(faulty.map(({ file, reason }) => `${file}: ${reason}`).sort(), planted.sort())
    const kinds = new Set(faulty.map(({ reason }) => reason))
    assert.deepEqual([...kinds].sort(), ['amount', 'currency', 'date', 'duplicate', 'limit', 'receipt'])
  })

  it('places each fault at the entry that was spoilt', async () => {
    const { faults }: { faults: Fault[] } = await import(join(ledger, 'faults.mjs'))
    const found = new Set(ledgerTruth(workspace).faulty.map(({ file, line }) => `${file}:${line}`))
    for (const { file, at } of faults.filter(({ file }) => !file.endsWith('.txt')))
      assert.ok(found.has(`q3/${file}:${file.endsWith('.csv') ? at + 1 : at}`), `${file}, entry ${at}`)
  })

  it('is a quarter of nine files with a few hundred entries', () => {
    const { entries, totalCents } = ledgerTruth(workspace)
    assert.equal(filesUnder(workspace).length, 9)
    assert.equal(entries, 3 * (46 + 36 + 20))
    assert.ok(totalCents > 0)
  })
})

function filesUnder(root: string, prefix = ''): string[] {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' })
  return paths
    .filter((path) => statSync(join(root, path)).isFile())
    .map((path) => join(prefix, path))
    .sort()
}
