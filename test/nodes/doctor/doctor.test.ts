/** Each known fault is planted for real, and seen and named; what is well is not called a fault. */
import assert from 'node:assert/strict'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../../mesh/installation.js'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { keepListen, recallListen } from '../../../nodes/authority/address.js'
import { PolicyBook } from '../../../nodes/authority/policy-book.js'
import { readConfig } from '../../../nodes/config.js'
import type { Check } from '../../../nodes/doctor/check.js'
import { examine, isWell } from '../../../nodes/doctor/examine.js'
import { folderChecks } from '../../../nodes/doctor/folder.js'
import { machineChecks } from '../../../nodes/doctor/machine.js'
import { membershipChecks } from '../../../nodes/doctor/membership.js'
import { ApiKeys } from '../../../nodes/gateway/http/keys.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { shipped } from '../../router/kit.js'
import { run } from '../command.js'
import { Machine } from '../machine.js'

const [home, guest] = [new Machine(), new Machine()]
const spare = temporaryFolder()
after(async () => {
  for (const machine of [guest, home]) await machine.remove()
  rmSync(spare, { recursive: true, force: true })
})

const day = 24 * 60 * 60 * 1000
const patient = { data: home.data, config: readConfig(), now: Date.now, nodeVersion: process.versions.node }
const all = [...folderChecks, ...membershipChecks]

/** What is found, as "check: severity: what". */
async function found(given: Partial<typeof patient>, table: readonly Check[] = all, fix = false): Promise<string[]> {
  const told = await examine({ ...patient, ...given }, fix, table)
  return told.flatMap(({ check, findings }) => findings.map(({ severity, what }) => `${check}: ${severity}: ${what}`))
}

/** Changes a file while `see` looks, and puts it back. */
async function whileChanged(
  file: string,
  change: (bytes: Buffer) => Buffer | string,
  see: () => Promise<void>,
): Promise<void> {
  const bytes = readFileSync(file)
  writeFileSync(file, change(bytes))
  try {
    await see()
  } finally {
    writeFileSync(file, bytes)
  }
}

const flipped = (bytes: Buffer) => {
  const changed = Buffer.from(bytes)
  changed[changed.length - 40] = (changed[changed.length - 40] ?? 0) ^ 1
  return changed
}

describe('clawmesh doctor', () => {
  before(async () => {
    mkdirSync(home.data, { recursive: true, mode: 0o700 })
    const judging = shipped.replace(/^on_error/m, 'judge: { model: wise, seconds: 9 }\non_error')
    writeFileSync(join(home.data, 'router.yaml'), judging, { mode: 0o600 })
    await home.up('--name', 'home')
    await guest.join(await home.invite('--roles', 'worker'), '--name', 'guest')
    await guest.stop()
  })

  it('finds nothing wrong with a mesh that runs, but that no node serves the judge of its rules, which `up` says too; nor with a node that has stopped', async () => {
    assert.match(home.said(), /the router rules have wise judge what leaves, and no node serves it/)
    const judging = 'mesh: note: The router rules have wise judge what leaves, and no node serves it.'
    for (const { data } of [home, guest]) assert.deepEqual(await found({ data }), [judging])
  })

  let away: Promise<string[]>

  it('names a clock that is apart, a node that was revoked, a certificate that ended', async () => {
    const lost = join(spare, 'lost')
    cpSync(guest.data, lost, { recursive: true, filter: (path) => !path.includes('lock') })
    const access = join(lost, 'nodes', 'guest', 'access.json')
    writeFileSync(access, readFileSync(access, 'utf8').replaceAll(/(\w+:\/\/127\.0\.0\.1):\d+/g, '$1:1'))
    // A broker that does not answer is waited for.
    away = found({ data: lost }, membershipChecks)
    const [early, slow, ended] = await Promise.all([
      found({ data: guest.data, now: () => Date.now() + 60_000 }, membershipChecks),
      found({ data: guest.data, now: () => Date.now() - 10_000 }, membershipChecks),
      found(
        { data: lost, now: () => Date.now() + 2 * day },
        membershipChecks.filter(({ name }) => name === 'certificate'),
      ),
    ])
    assert.match(early.join(), /^mesh: fault: This clock is 6\d\.\d s ahead of/)
    assert.match(slow.join(), /^mesh: note: This clock is ([5-9]|10)\.\d s behind/)
    assert.match(ended.join(), /^certificate: note: The certificate of "guest" ended at/)
    await home.do('revoke', 'guest')
    const gone = (await examine({ ...patient, data: guest.data }, false, membershipChecks)).flatMap(
      ({ findings }) => findings,
    )
    assert.match(gone.map(({ what }) => what).join(), /it was revoked/)
    assert.match(gone.map(({ todo }) => todo).join(), /another data folder \(--data DIR\)/)
    await home.stop()
  })

  it('names what is wrong with a data folder', async () => {
    const { data } = home
    const expect = async (pattern: RegExp) => {
      const told = await found({})
      assert.match(told.join('\n'), pattern)
      assert.equal(told.length, 1, told.join('\n'))
      assert.equal(isWell(await examine(patient, false, all)), !/: fault/.test(pattern.source))
    }
    assert.deepEqual(await found({}), [])
    await whileChanged(join(data, 'nodes', 'home', 'audit.chain'), flipped, () =>
      expect(/^chains: fault: The chain of home: /),
    )
    await whileChanged(
      join(data, 'nodes', 'home', 'audit.chain'),
      (bytes) => bytes.subarray(0, bytes.length - 9),
      () => expect(/^chains: fault: The chain of home holds \d+ whole records; \d+ were sent/),
    )
    await whileChanged(join(data, 'authority', 'checkpoints.jsonl'), flipped, () =>
      expect(/^checkpoints: fault: Checkpoint 1/),
    )
    await whileChanged(
      join(data, 'authority', 'checkpoints.jsonl'),
      () => '',
      () => expect(/^checkpoints: fault: .*0 checkpoints are left/),
    )
    await whileChanged(
      join(data, 'offer.json'),
      () => JSON.stringify({ policy: join(spare, 'none.yaml') }),
      () => expect(/^policy: fault: The policy .*none\.yaml cannot be read/),
    )
    await whileChanged(
      join(data, 'offer.json'),
      () => JSON.stringify({ policy: 'ask-first', workspace: join(spare, 'gone') }),
      () => expect(/^policy: fault: .*gone.* cannot be read/),
    )
    const bare = join(spare, 'bare')
    mkdirSync(bare)
    await whileChanged(
      join(data, 'offer.json'),
      () => JSON.stringify({ policy: 'code-workspace', workspace: bare }),
      () => expect(/^policy: fault: The policy keeps .*\.git read-only .*, but it does not exist/),
    )
    const rules = join(data, 'router.yaml')
    writeFileSync(rules, 'rules: 3', { mode: 0o600 })
    await expect(/^policy: fault: .*router\.yaml/)
    const limited = shipped
      .replace('\nbudgets: []', '\nbudgets: [{ name: day, limit: 5, per: day }]')
      .replace(/(name: the-rest-may-leave\n\s+when: )\{\}/, '$1{ within: [day] }')
    writeFileSync(rules, limited, { mode: 0o600 })
    assert.deepEqual(await found({}), [])
    writeFileSync(join(data, 'spending.jsonl'), '', { mode: 0o600 })
    await expect(/^policy: fault: No prompt leaves the mesh: what was spent could not be read/)
    rmSync(join(data, 'spending.jsonl'))
    rmSync(rules)
    const people = join(data, 'people.cedar')
    writeFileSync(people, 'permit (principal, action == Action::"readCost", resource);', { mode: 0o600 })
    await expect(/^people: fault: .*people\.cedar: .*readCost/)
    rmSync(people)
    const book = new PolicyBook(join(data, 'authority'), openAuthority(join(data, 'authority'), Date.now()))
    const { wire } = book.add({ name: 'p', text: '{}', by: 'me', reason: '' }, Date.now())
    const kept = join(data, 'nodes', 'home', 'policy.edition')
    writeFileSync(kept, wire, { mode: 0o600 })
    assert.deepEqual(await found({}), [])
    await whileChanged(kept, flipped, () => expect(/^policy: fault: The policy in .*policy\.edition cannot be used/))
    await whileChanged(join(data, 'authority', 'policies', '000001.edition'), flipped, () =>
      expect(/^policy: fault: A policy arrived that this mesh's authority did not sign/),
    )
    const keys = new ApiKeys(data)
    keys.add('soon', 'viewer', Date.now(), day)
    keys.add('late', 'viewer', Date.now() - 2 * day, day)
    assert.match((await found({})).join('\n'), /note: The key "soon" ends at .*\n.*note: The key "late" ended/)
    await whileChanged(
      keys.file,
      () => '{',
      () => expect(/^gateway-keys: fault: .*no key is good/),
    )
    rmSync(keys.file)
    await whileChanged(
      join(data, 'nodes', 'home', 'credentials.json'),
      () => '{}',
      async () => assert.match((await found({})).join('\n'), /^authority: fault: .*credentials\.json/),
    )
  })

  it('names a port that somebody else has', async () => {
    const folder = join(home.data, 'authority')
    const listen = recallListen(folder)
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    try {
      keepListen(folder, { ...listen, port: typeof address === 'object' && address ? address.port : 0 })
      assert.match((await found({})).join(), /^port: fault: Port \d+ at 127\.0\.0\.1 cannot be had: .*EADDRINUSE/)
    } finally {
      taken.close()
      keepListen(folder, listen)
    }
  })

  it('names a broker that is out of reach', async () => {
    assert.match((await away).join(), /^mesh: fault: No NATS server lets us in at nats:\/\/127\.0\.0\.1:1/)
  })

  it('names a service that starts what is gone', async () => {
    const units = join(spare, 'systemd', 'user')
    mkdirSync(units, { recursive: true })
    writeFileSync(join(units, 'clawmesh.service'), '[Service]\nExecStart="/opt/node-18/bin/node" "/opt/main.js" "up"\n')
    const told = await found({ config: { ...patient.config, configHome: spare } })
    assert.match(told.join('\n'), /^service: fault: .*starts \/opt\/node-18\/bin\/node, which is not there/)
  })

  it('mends what is safe to mend, and only when told to', async () => {
    const file = join(home.data, 'nodes', 'home', 'credentials.json')
    chmodSync(file, 0o644)
    assert.match((await found({})).join(), /^rights: fault: .*credentials\.json can be read by others/)
    assert.equal(statSync(file).mode & 0o777, 0o644)
    assert.equal(isWell(await examine(patient, true, all)), true)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(await found({}), [])
  })

  it('says of nothing that it is well where there is no mesh', async () => {
    const told = await examine({ ...patient, data: join(spare, 'none') }, false, all)
    const well = told.filter(({ idle, findings }) => idle === undefined && findings.length === 0)
    assert.deepEqual(
      well.map(({ check }) => check),
      ['service'],
    )
    assert.match(told.find(({ check }) => check === 'rights')?.findings[0]?.what ?? '', /no data folder/)
  })

  it('leaves alone what is no data folder, and in one what is not of clawmesh', async () => {
    const wrong = join(spare, 'wrong')
    mkdirSync(join(wrong, 'etc'), { recursive: true })
    chmodSync(wrong, 0o755)
    const others = ['package.json', 'lock', 'etc/nginx.conf'].map((name) => join(wrong, name))
    const own = join(home.data, 'package.json')
    for (const file of [...others, own]) {
      writeFileSync(file, '1 text')
      chmodSync(file, 0o644)
    }
    assert.match((await found({ data: wrong }, all, true)).join('\n'), /^rights: note: .* is no data folder of a mesh/)
    assert.deepEqual(await found({}, all, true), [])
    for (const file of [...others, own]) assert.equal(statSync(file).mode & 0o777, 0o644, file)
    assert.equal(statSync(wrong).mode & 0o777, 0o755)
    assert.deepEqual(readdirSync(wrong).sort(), ['etc', 'lock', 'package.json'])
    rmSync(own)
  })

  it('names what is wrong with a machine, and builds a launcher that is not there', async (t) => {
    const small = join(spare, 'small')
    mkdirSync(small)
    const build = join(installation, 'sandbox', 'launcher', 'build')
    const model = join(installation, 'inference', 'shipped', 'model', 'tokenizer.json')
    writeFileSync(join(spare, 'tokenizer.json'), '{}')
    // A mount namespace of its own: nothing of this is seen outside.
    const script = `mount -t tmpfs -o size=8m tmpfs "${small}" && touch "${small}/providers.sealed" && mount -t tmpfs tmpfs "${build}" &&
      mount --bind "${join(spare, 'tokenizer.json')}" "${model}" && echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`
    const { status, stdout, stderr } = await run(['doctor', '--data', small, '--fix', '--json'], {
      before: ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'],
      env: { CLAWMESH_NATS_SERVER: '/bin/true' },
    }).ended
    if (/unshare|mount/.test(stderr)) return t.skip('there are no user namespaces to do this in')
    assert.equal(status, 1, stderr)
    const { checks } = JSON.parse(stdout) as {
      checks: { check: string; findings: { what: string; todo: string; mended?: string }[] }[]
    }
    const of = (name: string) => checks.find(({ check }) => check === name)?.findings[0]
    assert.match(of('launcher')?.what ?? '', /has not been built/)
    assert.match(of('launcher')?.mended ?? '', /was built/)
    assert.match(of('sandbox')?.todo ?? '', /user\.max_user_namespaces/)
    assert.match(of('providers')?.what ?? '', /could connect anywhere/)
    assert.match(of('nats-server')?.what ?? '', /\/bin\/true does not run as a nats-server/)
    assert.match(of('disk')?.what ?? '', /^\d MB are free/)
    assert.match(of('models')?.what ?? '', /tokenizer\.json cannot be used/)
    assert.match(
      (await found({ nodeVersion: '18.20.0' }, machineChecks.slice(0, 1))).join(),
      /^node: fault: This is Node 18/,
    )
  })
})
