import assert from 'node:assert/strict'
import { test } from 'node:test'
import { covers, grantOf, type Need, widen } from '../../policies/coverage.js'
import { parseProfile } from '../../policies/profile.js'

const workspace = '/home/anna/ledger'
const tool = (need: Partial<Need>): Need => ({ read: [], write: [], program: 'tool:read_file', ...need })

test('a write grant covers reading, a read grant does not cover writing', () => {
  const profile = parseProfile('filesystem_policy: { read_only: [/data/in], read_write: [/data/out] }')
  assert.equal(covers(profile, tool({ read: ['/data/out/a'] }), workspace).covered, true)
  assert.deepEqual(covers(profile, tool({ write: ['/data/in/a'] }), workspace).missing, [
    { kind: 'write', path: '/data/in/a' },
  ])
})

test('the deepest grant decides, in both directions', () => {
  const profile = parseProfile('filesystem_policy: { read_only: [/a/b, /x], read_write: [/a, /x/y] }')
  assert.deepEqual(grantOf(profile, '/a/c', workspace), ['read', 'write'])
  assert.deepEqual(grantOf(profile, '/a/b/c', workspace), ['read', 'execute'])
  assert.deepEqual(grantOf(profile, '/x/z', workspace), ['read', 'execute'])
  assert.deepEqual(grantOf(profile, '/x/y/z', workspace), ['read', 'write'])
  assert.deepEqual(grantOf(profile, '/ab', workspace), [])
})

test('what is missing can be asked for only if all of it can', () => {
  const profile = parseProfile('ask: [{ read: . }]')
  const inside = covers(profile, tool({ read: [`${workspace}/a`] }), workspace)
  const both = covers(profile, tool({ read: [`${workspace}/a`], write: [`${workspace}/b`] }), workspace)
  assert.deepEqual([inside.covered, inside.askable], [false, true])
  assert.deepEqual([both.covered, both.askable], [false, false])
})

test('nothing that is needed is nothing to ask for', () => {
  assert.deepEqual(covers(parseProfile(''), tool({}), workspace), { covered: true, missing: [], askable: false })
})

test('widening covers exactly what was missing, and leaves the profile as it was', () => {
  const profile = parseProfile('filesystem_policy: { read_only: [.] }\nask: [{ write: . }]')
  const need = tool({ write: [`${workspace}/a.txt`] })
  const wider = widen(profile, covers(profile, need, workspace).missing)
  assert.equal(covers(wider, need, workspace).covered, true)
  assert.equal(covers(wider, tool({ write: [`${workspace}/b.txt`] }), workspace).covered, false)
  assert.equal(covers(wider, tool({ write: [workspace] }), workspace).covered, false)
  assert.equal(covers(profile, need, workspace).covered, false)
})

test('what lies in the workspace or can be written is no program, whoever is asked', () => {
  const workspace = '/home/anna/ledger'
  const profile = parseProfile('filesystem_policy: { read_write: [/srv] }\nask: [{ execute: / }]')
  const execute = (path: string) =>
    covers(profile, { read: [], write: [], program: 'tool:shell', execute: [path] }, workspace)
  assert.equal(execute('/usr/bin/env').askable, true)
  for (const path of ['/home/anna/ledger/run.sh', '/srv/run.sh', '/dev/run']) assert.equal(execute(path).askable, false)
})

test('what is the kernel’s is denied outright, whatever may be asked for', () => {
  const everything = parseProfile('ask: [{ read: / }, { write: / }]')
  for (const path of ['/proc/1/environ', '/proc', '/dev/sda', '/dev/null', '/sys/kernel/notes']) {
    const need = { read: [path], write: [path], program: 'tool:read_file' }
    const { covered, askable } = covers(everything, need, '/home/anna/ledger')
    assert.deepEqual([path, covered, askable], [path, false, false])
  }
  const beside = { read: ['/process/notes', '/devices'], write: [], program: 'tool:read_file' }
  assert.equal(covers(everything, beside, '/home/anna/ledger').askable, true)
})
