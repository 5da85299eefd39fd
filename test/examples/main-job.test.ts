import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import type { Summary } from '../../nodes/cli/job/report.js'
import { runCommand } from '../kit/command.js'
import { ledgerTruth } from './ledger-truth.js'

describe('the main job', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'clawmesh job '))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('finds the total and the faulty entries that another computation finds, and its audit trail verifies', async () => {
    const { status, lastLine, stderr } = await runCommand([
      'start',
      '--once',
      '--json',
      '--data',
      join(folder, 'ledger'),
    ])
    assert.equal(status, 0, stderr)
    const summary = JSON.parse(lastLine) as Summary
    const truth = ledgerTruth(join(installation, 'examples', 'ledger', 'workspace'))
    const byPlace = (a: { file: string; line: number }, b: { file: string; line: number }) =>
      a.file.localeCompare(b.file) || a.line - b.line
    assert.equal(summary.ledger?.totalCents, truth.totalCents)
    assert.equal(summary.ledger?.entries, truth.entries)
    assert.deepEqual(summary.ledger?.faulty.toSorted(byPlace), truth.faulty.toSorted(byPlace))
    assert.equal(summary.held, 1, 'the file outside the workspace is held')
    assert.equal(summary.nodes, 5)
    // Nine files, once for the ledger and once for each of three voters; the held action never ran.
    assert.equal(summary.actions, 36)
    assert.deepEqual([summary.ok, summary.auditVerified], [true, true])
    const verified = await runCommand(['audit', 'verify', '--json', '--data', join(folder, 'ledger')])
    assert.equal(summary.auditEvents, summary.auditEventsInAll, 'this is the first run')
    assert.deepEqual([verified.status, (JSON.parse(verified.lastLine) as { ok: boolean }).ok], [0, true])
  })

  it('does a person’s own request in their own folder', async () => {
    const workspace = mkdtempSync(join(folder, 'my files '))
    writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\nthree\n')
    const data = join(folder, 'own')
    const where = ['--workspace', workspace, '--data', data]
    const { status, stdout, stderr } = await runCommand(['start', 'how many lines has notes.txt', ...where])
    assert.equal(status, 0, stderr)
    assert.match(stdout, /3 lines/)
    assert.match(stdout, /every chain verified/)
    const again = await runCommand(['start', 'how many lines has notes.txt and none.txt', '--json', ...where])
    const summary = JSON.parse(again.lastLine) as Summary
    assert.ok(summary.auditEvents > 0 && summary.auditEventsInAll > summary.auditEvents, again.lastLine)
    assert.deepEqual(
      summary.parts.map(({ arguments: given, status }) => [given?.['path'], status]),
      [
        ['notes.txt', 'done'],
        ['none.txt', 'failed'],
      ],
    )
    assert.equal(summary.answer.split('\n')[0], '3 lines')
    assert.deepEqual([summary.ok, summary.error?.code, again.status], [false, 'TASK_FAILED', 1])
    assert.ok(summary.error?.message && summary.error.hint)
  })
})
