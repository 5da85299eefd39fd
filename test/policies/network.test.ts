/** Who may connect where, decided by names alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerToConnect } from '../../policies/coverage.js'
import { ClawmeshError } from '../../policies/errors.js'
import { isHost, reach } from '../../policies/network.js'
import { parseProfile } from '../../policies/profile.js'

const refused = (text: string, why: RegExp) =>
  assert.throws(
    () => parseProfile(text, 'p.yaml'),
    (error) => error instanceof ClawmeshError && error.code === 'POLICY_INVALID' && why.test(error.message),
    `${text} should be refused with ${why}`,
  )
const rule = (endpoint: string, binaries = '[{ path: /usr/bin/curl }]') =>
  `network_policies: { a: { endpoints: [{ ${endpoint} }], binaries: ${binaries} } }`

test('a rule that is for every program, or for half of the net, is none', () => {
  refused(
    'network_policies: { a: { endpoints: [{ host: a.example.org, port: 1 }] } }',
    /binaries must name the programs/,
  )
  refused(rule('host: a.example.org, port: 1', '[]'), /at least one program/)
  for (const path of ['/**', '"**"', '/*', 'curl'])
    refused(rule('host: a.example.org, port: 1', `[{ path: ${path} }]`), /binaries\.0\.path/)
  for (const host of [
    '"*"',
    '"*.org"',
    '"a.*.example.org"',
    '"http://a.example.org"',
    '"*.0.0.1"',
    '"::1"',
    '"a b.example.org"',
  ])
    refused(rule(`host: ${host}, port: 1`), /endpoints\.0\.host/)
  refused(rule('host: a.example.org'), /either port or ports/)
  refused(rule('host: a.example.org, port: 0'), /endpoints\.0\.port/)
  for (const ips of ['0.0.0.0/0', '10.0.0.0/7', '"::/0"', '10.0.0.0/33', 'a.example.org'])
    refused(rule(`host: a.example.org, port: 1, allowed_ips: [${ips}]`), /allowed_ips\.0/)
})

test('a field of OpenShell’s that is not enforced is refused by its name', () => {
  for (const field of ['protocol: rest', 'tls: terminate', 'access: full', 'rules: []', 'deny_rules: []'])
    refused(
      rule(`host: a.example.org, port: 1, ${field}`),
      /p\.yaml:1: .* is not enforced: what is said over a connection/,
    )
  refused(rule('host: a.example.org, port: 1, enforcement: audit'), /only enforce/)
  refused(rule('host: a.example.org, port: 1, websocket: true'), /websocket is not a known field/)
})

test('a star stands for one part of a name, two for any, and never for the domain itself', () => {
  const holds = (host: string, pattern: string) => isHost(host, pattern)
  assert.ok(holds('a.example.org', '*.example.org') && holds('a.b.example.org', '**.example.org'))
  for (const [host, pattern] of [
    ['a.b.example.org', '*.example.org'],
    ['example.org', '*.example.org'],
    ['example.org', '**.example.org'],
    ['aexample.org', '*.example.org'],
    ['example.org.evil.net', 'example.org'],
    ['evil-example.org', 'example.org'],
  ] as const)
    assert.ok(!holds(host, pattern), `${host} ${pattern}`)
})

test('a program is the whole path, or what a star stands for; the ask list knows ports', () => {
  const profile = parseProfile(
    `${rule('host: A.Example.org., ports: [80, 443]', '[{ path: "/opt/*/bin/go" }, { path: "/usr/lib/**" }, { path: "tool:fetch" }]')}
ask: [{ connect: "*:8080" }, { connect: "**.example.net" }]`,
  )
  const answer = (connection: string) => answerToConnect(profile, connection, '/w')
  for (const program of ['/opt/go-1.26/bin/go', '/usr/lib/a/b/c', 'tool:fetch'])
    assert.equal(answer(`a.example.org:443 by ${program}`), 'allow', program)
  for (const program of ['/opt/a/b/bin/go', '/usr/libexec/a', '/opt/x/bin/gofmt', '/home/opt/x/bin/go', 'tool:fetch2'])
    assert.equal(answer(`a.example.org:443 by ${program}`), 'deny', program)
  assert.deepEqual(
    [
      'a.example.org:81',
      'b.example.org:8080',
      'a.b.example.net:22',
      'example.net:22',
      'not a host:1',
      'a.example.org',
    ].map(answer),
    ['deny', 'ask', 'ask', 'deny', 'deny', 'deny'],
  )
  assert.equal(reach(profile.network, { host: 'a.example.org', port: 80 })?.rule.name, 'a')
})
