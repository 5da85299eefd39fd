import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'

function refused(text: string, expected: RegExp) {
  assert.throws(
    () => parseProfile(text, 'p.yaml'),
    (error) =>
      error instanceof ClawmeshError &&
      error.code === 'POLICY_INVALID' &&
      expected.test(error.message) &&
      error.hint !== '',
    `${text} should be refused with ${expected}`,
  )
}

test('an empty profile grants nothing and limits everything', () => {
  const { read, write, ask, limits } = parseProfile('')
  assert.deepEqual([read, write, ask], [[], [], []])
  for (const limit of Object.values(limits)) assert.ok(limit > 0)
})

test('OpenShell names are read as OpenShell means them', () => {
  const profile = parseProfile(`
version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr/, /lib, /proc, /dev/urandom]
  read_write: [/tmp, /dev/null, /data]
landlock: { compatibility: hard_requirement }
process: {}
network_policies: {}
`)
  assert.deepEqual(profile.read, ['/usr', '/lib'])
  assert.deepEqual(profile.write, ['.', '/data'])
})

test('an error names the file, the line, the field and the reason', () => {
  refused('version: 1\nlimits:\n  wall_ms: 10\n  cpu_seconds: soon\n', /^p\.yaml:4: limits\.cpu_seconds .*number/)
  refused(
    'filesystem_policy:\n  read_only:\n    - /usr\n    - etc\n',
    /^p\.yaml:4: filesystem_policy\.read_only\.1 must be absolute/,
  )
  refused('a: [1', /^p\.yaml:1 is not valid YAML/)
})

test('an unknown field is refused by its name, wherever it stands', () => {
  refused('version: 1\nnetwork: {}\n', /^p\.yaml:2: network is not a known field/)
  refused('limits:\n  wall_ms: 1\n  walls_ms: 2\n', /^p\.yaml:3: limits\.walls_ms is not a known field/)
  refused('filesystem_policy: { deny: [/x] }', /filesystem_policy\.deny is not a known field/)
})

test('what would weaken or cannot be enforced is refused with the reason', () => {
  refused('landlock: { compatibility: best_effort }', /landlock\.compatibility only hard_requirement/)
  refused('process: { run_as_user: root }', /process\.run_as_user cannot be chosen/)
  refused(
    'network_policies:\n  github:\n    endpoints: []\n',
    /^p\.yaml:3: network_policies\.github\.endpoints must name at least one endpoint/,
  )
})

test('paths that mean more than they say are refused', () => {
  refused('filesystem_policy: { read_only: [/] }', /whole machine/)
  for (const path of ['/a/../b', '/a//b', './../x', '/a/./b'])
    refused(`filesystem_policy: { read_write: ["${path}"] }`, /must not hold/)
  for (const path of ['/proc/1', '/sys/kernel', '/dev/sda', '/dev'])
    refused(`filesystem_policy: { read_only: ["${path}"] }`, /kernel’s/)
})

test('what may be asked for names one access and one place', () => {
  assert.deepEqual(parseProfile('ask: [{ write: . }, { read: / }]').ask, [
    { kind: 'write', path: '.' },
    { kind: 'read', path: '/' },
  ])
  refused('ask: [{ read: ., write: . }]', /ask\.0 must name exactly one/)
  refused('ask: [{ connect: . }]', /ask\.0\.connect must be HOST/)
  refused('ask: write', /ask /)
})

test('a limit of zero or none at all cannot be asked for', () => {
  refused('limits: { processes: 0 }', /limits\.processes/)
  refused('limits: { memory_mb: .inf }', /limits\.memory_mb/)
  refused('limits: { output_bytes: 1.5 }', /limits\.output_bytes/)
})

test('a text that is made to exhaust its reader is one clear error', () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf', 'hg', 'ih'].map((pair) => [...pair]))
    bomb.push(`${name}: &${name} [${Array(9).fill(`*${of}`).join(', ')}]`)
  refused(bomb.join('\n'), /^p\.yaml:1 cannot be read: Excessive alias count/)
  refused('['.repeat(100_000), /^p\.yaml:\d+ /)
  refused(`# ${'x'.repeat(2 ** 20)}`, /^p\.yaml:1 is longer than any policy/)
  refused(`filesystem_policy: { read_only: [/${'x'.repeat(256)}] }`, /longer than a path/)
})
