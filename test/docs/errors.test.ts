import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { kinds } from '../../mesh/post/letter.js'
import { errorCodes, outcomes } from '../../policies/errors.js'

const page = readFileSync(join(installation, 'docs', 'messages.md'), 'utf8')

/** The cells of the table rows below a heading, without backquotes; neither its head nor its rule. */
function tableUnder(heading: string): string[][] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [text = ''] = section.split('\n## ')
  const rows = text.split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

describe('docs/messages.md', () => {
  it('lists every error code with its outcome, exit status and retry as the code has them, and no other', () => {
    const documented = tableUnder('Error codes').map(([code, outcome, status, retry]) => [code, outcome, status, retry])
    const declared = Object.entries(errorCodes).map(([code, { outcome, retry }]) => [
      code,
      outcome,
      String(outcomes[outcome]),
      retry ? 'yes' : 'no',
    ])
    assert.deepEqual(documented, declared)
  })

  it('says what each error code means', () => {
    for (const [code, , , , meaning = ''] of tableUnder('Error codes')) assert.ok(meaning.length > 10, code)
  })

  it('numbers the kinds of letters as the wire does', () => {
    const documented = tableUnder('Kinds').map(([number, kind]) => [number, kind])
    assert.deepEqual(
      documented,
      kinds.map((kind, number) => [String(number), kind]),
    )
  })
})
