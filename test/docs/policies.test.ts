import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { covers, type Need } from '../../policies/coverage.js'
import { readDocument } from '../../policies/document.js'
import { parseProfile } from '../../policies/profile.js'
import { runTable } from '../../policies/table.js'

const page = readFileSync(join(installation, 'docs', 'policies.md'), 'utf8')
const workspace = '/home/anna/ledger'

describe('docs/policies.md', () => {
  const example = (heading: string) => /```yaml\n([\s\S]*?)```/.exec(page.split(`# ${heading}\n`)[1] ?? '')?.[1] ?? ''
  const profile = parseProfile(example('A worked example'), 'docs/policies.md')

  it('shows a truth table that a policy holds to', () => {
    const policy = readFileSync(join(installation, 'policies', 'presets', 'ask-first.yaml'), 'utf8')
    const rows = runTable(readDocument(policy, 'ask-first'), readDocument(example('Truth tables'), 'docs/policies.md'))
    for (const { access, expected, answer } of rows) assert.equal(answer, expected, access.path)
  })
  const rows = [...page.matchAll(/^\| (read|write|execute) `([^`]+)` \| (allow|ask|deny) \|/gm)]

  it('shows every answer for every kind of access', () => {
    assert.deepEqual(new Set(rows.map(([, , , answer]) => answer)), new Set(['allow', 'ask', 'deny']))
    assert.equal(rows.length, 9)
  })

  for (const [, kind, path = '', answer] of rows)
    it(`is right that the example answers ${answer} to ${kind} ${path}`, () => {
      const need: Need = {
        read: kind === 'read' ? [path] : [],
        write: kind === 'write' ? [path] : [],
        program: kind === 'execute' ? path : 'tool:read_file',
      }
      const { covered, askable } = covers(profile, need, workspace)
      assert.equal(covered ? 'allow' : askable ? 'ask' : 'deny', answer)
    })

  it('states the limits that an empty policy has', () => {
    const { limits } = parseProfile('')
    const stated = [...page.matchAll(/^\| `limits\.\w+` \|[^|]*\| ([\d ]+) \|/gm)].map(([, value = '']) =>
      Number(value.replaceAll(' ', '')),
    )
    const { wallMs, cpuSeconds, memoryMb, memoryTotalMb, tmpMb, fileMb, processes, openFiles, outputBytes } = limits
    assert.deepEqual(stated, [
      wallMs,
      cpuSeconds,
      memoryMb,
      memoryTotalMb,
      tmpMb,
      fileMb,
      processes,
      openFiles,
      outputBytes,
    ])
  })
})
