import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { covers, type Need } from '../../policies/coverage.js'
import { parseProfile } from '../../policies/profile.js'

const folder = join(import.meta.dirname, '..', '..', '..', 'policies', 'presets')
const files = readdirSync(folder)
const presets = files.filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'))

const table = z.strictObject({
  workspace: z.string(),
  cases: z
    .array(
      z.strictObject({
        read: z.string().optional(),
        write: z.string().optional(),
        execute: z.string().optional(),
        expect: z.enum(['allow', 'ask', 'deny']),
      }),
    )
    .min(5),
})

test('every preset has a truth table', () => {
  assert.deepEqual(
    presets.map((name) => name.replace('.yaml', '.test.yaml')),
    files.filter((name) => name.endsWith('.test.yaml')),
  )
})

for (const name of presets) {
  const profile = parseProfile(readFileSync(join(folder, name), 'utf8'), name)
  const { workspace, cases } = table.parse(
    parse(readFileSync(join(folder, name.replace('.yaml', '.test.yaml')), 'utf8')),
  )
  for (const { read, write, execute, expect } of cases) {
    const what = read ? `read ${read}` : write ? `write ${write}` : `execute ${execute}`
    test(`${name}: ${what} → ${expect}`, () => {
      const need: Need = {
        read: read ? [read] : [],
        write: write ? [write] : [],
        program: execute ?? 'tool:read_file',
      }
      const { covered, askable } = covers(profile, need, workspace)
      assert.equal(covered ? 'allow' : askable ? 'ask' : 'deny', expect)
    })
  }
}
