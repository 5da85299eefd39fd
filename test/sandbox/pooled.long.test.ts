/** The suites that launch, again with a pool. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { installation } from '../../mesh/installation.js'

const suites = [
  'sandbox/launch',
  'sandbox/limits',
  'sandbox/run',
  'sandbox/opens',
  'sandbox/changes',
  'attack/sandbox/escape',
]
if (existsSync('/usr/bin/curl')) suites.push('sandbox/network')

test('launches, limits, tools and attempts hold by a pool too', async () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const files = suites.map((name) => join(installation, 'dist', 'test', `${name}.test.js`))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--test', '--test-reporter=tap', '--test-concurrency=2', ...files],
    {
      env: { ...env, CLAWMESH_TEST_POOLED: '1' },
    },
  ).catch((error: { stdout: string }) => error)
  const count = (word: string) => Number(new RegExp(`^# ${word} (\\d+)`, 'm').exec(stdout)?.[1])
  assert.ok(count('pass') > 80, stdout)
  assert.equal(count('fail') + count('skipped') + count('cancelled'), 0, stdout)
})
