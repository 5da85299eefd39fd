import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readDocument } from '../../policies/document.js'
import { runTable } from '../../policies/table.js'

const folder = join(import.meta.dirname, '..', '..', '..', 'policies', 'presets')
const files = readdirSync(folder)
const presets = files.filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'))
const read = (name: string) => readDocument(readFileSync(join(folder, name), 'utf8'), name)

test('every preset has a truth table', () => {
  assert.deepEqual(
    presets.map((name) => name.replace('.yaml', '.test.yaml')),
    files.filter((name) => name.endsWith('.test.yaml')),
  )
})

for (const name of presets)
  for (const { access, expected, answer, because } of runTable(read(name), read(name.replace('.yaml', '.test.yaml'))))
    test(`${name}: ${access.kind} ${access.path} → ${expected}`, () => assert.equal(answer, expected, because))
