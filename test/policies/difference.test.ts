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

it('says what came, what went, and whether that lets more be done', () => {
  for (const [before, after, ...changes] of [
    ['{}', '{}'],
    ['{}', files('read_only: [/data]'), '+ read /data !'],
    [files('read_only: [/data]'), files('read_only: [/data, /data/more]'), '+ read /data/more'],
    [files('read_only: [/data]'), '{}', '- read /data'],
    [files('read_write: [.]'), files('read_write: [.], read_only: [./.git]'), '+ read ./.git'],
    [files('read_write: [.], read_only: [./.git]'), files('read_write: [.]'), '- read ./.git !'],
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
