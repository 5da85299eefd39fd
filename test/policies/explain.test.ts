import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDocument } from '../../policies/document.js'
import { ClawmeshError } from '../../policies/errors.js'
import { explain } from '../../policies/explain.js'
import type { AccessKind } from '../../policies/profile.js'
import { runTable } from '../../policies/table.js'

const policy = readDocument(
  `filesystem_policy:
  include_workdir: true
  read_only:
    - /usr/
    - ./kept
  read_write: [/data]
ask:
  - write: ./kept
  - read: /
  - write: /usr/local
`,
  'p.yaml',
)
const says = (kind: AccessKind, path: string) => {
  const { answer, because } = explain(policy, { kind, path }, '/home/anna')
  return `${answer}: ${because}`
}

test('an answer comes with the line that gave it', () => {
  assert.equal(says('read', '/usr/bin/env'), 'allow: p.yaml:4: filesystem_policy.read_only.0 grants reading /usr')
  assert.equal(says('execute', '/usr/bin/env'), 'allow: p.yaml:4: filesystem_policy.read_only.0 grants executing /usr')
  assert.equal(says('write', '/home/anna/a'), 'allow: p.yaml:2: filesystem_policy.include_workdir grants writing .')
  assert.equal(says('read', '/data/a'), 'allow: p.yaml:6: filesystem_policy.read_write.0 grants reading /data')
  assert.equal(says('write', '/home/anna/kept/a'), 'ask: p.yaml:8: ask.0 lets writing ./kept be asked for')
  assert.match(says('read', '/tmp/a'), /^ask: p\.yaml:9: .*; that is the machine’s \/tmp: a program has one of its own/)
  assert.match(says('write', '/tmp'), /^deny: nothing grants writing it, .*; that is the machine’s \/tmp/)
  assert.equal(says('read', '/etc/passwd'), 'ask: p.yaml:9: ask.1 lets reading / be asked for')
})

test('a denial says what is lacking', () => {
  assert.match(says('write', '/usr/bin/env'), /^deny: p\.yaml:4: .* grants \/usr for reading only, and no entry of ask/)
  assert.match(says('write', '/usr/local/bin/env'), /^deny: p\.yaml:4: .* may be executed is not written/)
  assert.match(says('write', '/etc/passwd'), /^deny: nothing grants writing it/)
  assert.match(says('execute', '/home/anna/a.out'), /^deny: nothing in the workspace is a program/)
  assert.match(says('execute', '/data/a.out'), /^deny: p\.yaml:6: .* what can be written is no program/)
  assert.match(says('read', '/proc/1/environ'), /^deny: it is the kernel’s/)
  assert.equal(says('execute', 'tool:calculate'), 'allow: a tool of the closed set brings its own program')
})

test('a table is held to the policy row by row, and is itself checked', () => {
  const rows = (cases: string) => runTable(policy, readDocument(`workspace: /home/anna\ncases:\n${cases}`, 't.yaml'))
  const four = '  - { read: /usr/a, expect: allow }\n'.repeat(4)
  const [last] = rows(`${four}  - { write: /usr/a, expect: allow }\n`).slice(-1)
  assert.deepEqual([last?.line, last?.expected, last?.answer], [7, 'allow', 'deny'])
  const refused = (cases: string, expected: RegExp) =>
    assert.throws(
      () => rows(cases),
      (error) => error instanceof ClawmeshError && error.code === 'POLICY_INVALID' && expected.test(error.message),
    )
  refused(four, /^t\.yaml:2: cases must have at least five rows/)
  refused(`${four}  - { read: /a, write: /a, expect: allow }\n`, /^t\.yaml:7: cases\.4 must name exactly one/)
  refused(`${four}  - { read: a, expect: allow }\n`, /^t\.yaml:7: cases\.4\.read must be absolute/)
  refused(`${four}  - { read: /a, expect: maybe }\n`, /^t\.yaml:7: cases\.4\.expect/)
})

test('a connection is explained by the rule, the entry of ask, or the programs that are meant instead', () => {
  const net = readDocument(
    `network_policies:
  docs:
    endpoints:
      - { host: docs.example.org, port: 443 }
    binaries: [{ path: /usr/bin/curl }]
ask:
  - connect: "*.example.net"
`,
    'n.yaml',
  )
  const said = (path: string) => {
    const { answer, because } = explain(net, { kind: 'connect', path }, '/home/anna')
    return `${answer}: ${because}`
  }
  const allowed = 'allow: n.yaml:4: network_policies.docs.endpoints.0 lets /usr/bin/curl connect to docs.example.org'
  assert.equal(said('docs.example.org:443 by /usr/bin/curl'), allowed)
  assert.equal(said('docs.example.org:443'), allowed)
  assert.match(said('docs.example.org:443 by /usr/bin/wget'), /^deny: n\.yaml:5: .*binaries names other programs/)
  assert.match(said('a.example.net:22'), /^ask: n\.yaml:7: ask\.0 lets connecting to \*\.example\.net be asked for/)
  assert.match(said('docs.example.org:80'), /^deny: nothing lets it be connected to/)
})

test('where a yes would not reach, nobody is said to be asked, and what would let it is named', () => {
  const near = readDocument(
    `network_policies:
  near:
    endpoints:
      - { host: 10.0.0.1, port: 443 }
      - { host: 10.0.0.2, port: 443, allowed_ips: [10.0.0.2] }
      - { host: 10.0.0.3, port: 443, allowed_ips: [10.9.0.0/16] }
      - { host: 169.254.169.254, port: 80, allowed_ips: [169.254.169.254] }
    binaries: [{ path: /usr/bin/curl }]
ask:
  - connect: "*"
`,
    'n.yaml',
  )
  const said = (path: string) => {
    const { answer, because } = explain(near, { kind: 'connect', path }, '/home/anna')
    return `${answer}: ${because}`
  }
  assert.match(
    said('127.0.0.1:80'),
    /^deny: n\.yaml:10: ask\.0 .* 127\.0\.0\.1 is private, .* `allowed_ips: \[127\.0\.0\.1\]`$/,
  )
  assert.match(said('localhost:80'), /^deny: .* `allowed_ips: \[127\.0\.0\.1, "::1"\]`$/)
  assert.match(said('10.0.0.1:443'), /^deny: n\.yaml:4: .* `allowed_ips: \[10\.0\.0\.1\]` is missing there$/)
  assert.match(said('10.0.0.2:443'), /^allow: n\.yaml:5: /)
  assert.match(said('10.0.0.3:443'), /^deny: n\.yaml:6: .* not among its allowed_ips$/)
  for (const port of [80, 443]) assert.match(said(`169.254.169.254:${port}`), /^deny: .* whatever a policy says$/)
  assert.match(said('93.184.215.14:443'), /^ask: n\.yaml:10: ask\.0 lets connecting to \* be asked for$/)
  assert.match(
    said('example.org:443'),
    /^ask: .*be asked for; if that name leads to a private address, a yes does not reach it$/,
  )
})
