import assert from 'node:assert/strict'
import { it } from 'node:test'
import { differences } from '../../policies/difference.js'
import { parseProfile } from '../../policies/profile.js'

/** "+ read /a": what came; "!" behind what lets more be done. */
function told(before: string, after: string): string[] {
  return differences(parseProfile(before), parseProfile(after)).map(({ field, before: was, after: is, looser }) => {
    const what =
      was !== null && is !== null ? `~ ${field} ${was} ${is}` : was === null ? `+ ${field} ${is}` : `- ${field} ${was}`
    return `${what}${looser ? ' !' : ''}`
  })
}

const files = (text: string) => `filesystem_policy: { ${text} }`
const rule = (host: string, more = '') =>
  `network_policies: { docs: { endpoints: [{ host: ${host}, port: 443${more} }], binaries: [{ path: /usr/bin/curl }] } }`

/** Each "HOST", or "HOST NETWORK", and "PROGRAM" behind that if it is not curl. */
const rules = (...all: string[]) =>
  `network_policies: {${all.map((one, index) => {
    const [host, network, program = '/usr/bin/curl'] = one.split(' ')
    const pinned = network ? `, allowed_ips: [${network}]` : ''
    return ` r${one.replace(/\W/g, '')}${index}: { endpoints: [{ host: '${host}', port: 443${pinned} }], binaries: [{ path: ${program} }] }`
  })} }`

it('says what came, what went, and whether that lets more be done', () => {
  for (const [before, after, ...changes] of [
    ['{}', '{}'],
    ['{}', files('read_only: [/data]'), '+ read /data !'],
    [files('read_only: [/data]'), files('read_only: [/data, /data/more]'), '+ read /data/more'],
    [files('read_only: [/data]'), '{}', '- read /data'],
    [files('read_write: [.]'), files('read_write: [.], read_only: [./.git]'), '+ read ./.git'],
    [files('read_write: [.], read_only: [./.git]'), files('read_write: [.]'), '- read ./.git !'],
    // A folder of that name is no part of the workspace.
    [files('read_only: [.]'), files('read_only: [., /workspace]'), '+ read /workspace !'],
    [files('read_write: [.]'), files('read_write: [., /workspace/other]'), '+ write /workspace/other !'],
    ['ask: [{ write: / }]', 'ask: [{ write: . }]', '+ ask write .', '- ask write /'],
    ['ask: [{ write: . }]', 'ask: [{ write: / }]', '+ ask write / !', '- ask write .'],
    [files('read_write: [.]'), 'ask: [{ write: . }]', '- write .', '+ ask write .'],
    ['{}', rule('docs.example.org'), '+ network docs.example.org:443 by /usr/bin/curl !'],
    [rule('docs.example.org'), '{}', '- network docs.example.org:443 by /usr/bin/curl'],
    [
      rule('docs.example.org'),
      rule('docs.example.org', ', allowed_ips: [10.1.0.0/16]'),
      '+ network docs.example.org:443 by /usr/bin/curl at 10.1.0.0/16 !',
      '- network docs.example.org:443 by /usr/bin/curl',
    ],
    [
      'ask: [{ connect: "*:443" }]',
      'ask: [{ connect: "example.org:443" }]',
      '+ ask connect example.org:443',
      '- ask connect *:443',
    ],
    [
      'ask: [{ connect: "example.org:443" }]',
      'ask: [{ connect: "*:443" }]',
      '+ ask connect *:443 !',
      '- ask connect example.org:443',
    ],
    ['{}', 'limits: { processes: 64 }', '~ limits.processes 32 64 !'],
    ['limits: { processes: 64 }', '{}', '~ limits.processes 64 32'],
  ] as const)
    assert.deepEqual(told(before, after).toSorted(), [...changes].toSorted(), `${before} → ${after}`)
})

it('says which of the rules for one connection was put behind another, or gave way to it: the first says to which addresses', () => {
  const [pinned, wide, by] = ['x.example.com 10.0.0.0/8', '*.example.com', ' by /usr/bin/curl']
  const line = `x.example.com:443${by} at 10.0.0.0/8`
  for (const [before, after, ...changes] of [
    [rules(pinned, wide), rules(wide, pinned), `~ network ${line} ${line} behind *.example.com:443${by} !`],
    [
      rules(wide, pinned),
      rules(pinned, wide),
      `~ network *.example.com:443${by} *.example.com:443${by} behind ${line} !`,
    ],
    [rules(pinned, wide), rules(wide), `- network ${line} !`],
    [rules(wide, pinned), rules(wide), `- network ${line}`],
    [rules(pinned, wide), rules(pinned), `- network *.example.com:443${by}`],
    [
      rules(pinned),
      'ask: [{ connect: "x.example.com:443" }]',
      '+ ask connect x.example.com:443',
      `- network ${line} !`,
    ],
    [`${rules(pinned)}\nask: [{ connect: "*:80" }]`, 'ask: [{ connect: "*:80" }]', `- network ${line}`],
    // What has to be of the same connection, for an order to mean anything.
    [rules(pinned, 'y.example.com'), rules('y.example.com', pinned)],
    [rules(pinned, '*.x.example.com'), rules('*.x.example.com', pinned)],
    [rules(pinned, '*.example.com  /usr/bin/git'), rules('*.example.com  /usr/bin/git', pinned)],
    [rules('x.example.com', wide), rules(wide, 'x.example.com')],
    [
      rules('**.example.com 10.0.0.0/8', '*.a.example.com'),
      rules('*.a.example.com'),
      `- network **.example.com:443${by} at 10.0.0.0/8 !`,
    ],
    [
      rules('*.a.example.com 10.0.0.0/8', '*.example.com'),
      rules('*.example.com'),
      `- network *.a.example.com:443${by} at 10.0.0.0/8`,
    ],
    [
      rules('x.example.com 10.0.0.0/8 /usr/bin/*', wide),
      rules(wide),
      '- network x.example.com:443 by /usr/bin/* at 10.0.0.0/8 !',
    ],
    [
      rules('x.example.com 10.0.0.0/8 tool:http_fetch', wide),
      rules(wide),
      '- network x.example.com:443 by tool:http_fetch at 10.0.0.0/8 !',
    ],
  ] as const)
    assert.deepEqual(told(before, after).toSorted(), [...changes].toSorted(), `${before} → ${after}`)
})
