/** `up`, `invite`, `join`, `nodes`, `revoke`: the real commands, each machine a data folder of its own. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { openTasks } from '../../mesh/task/tasks.js'
import { verifyOwnChains } from '../../nodes/audit/own-chains.js'
import { openLiveGround } from '../../nodes/authority/live.js'
import { dataPaths } from '../../nodes/data-folder.js'
import { takeLock } from '../../nodes/lock.mjs'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { shipped as shippedRules } from '../router/kit.js'
import type { Ended } from './command.js'
import { Machine } from './machine.js'

const refused = ({ status, error }: Ended, code: number, pattern: RegExp) => {
  assert.equal(status, code, error.join('\n'))
  assert.match(error[0] ?? '', pattern)
  assert.ok((error[1] ?? '').trim() !== '', 'no hint')
  assert.ok(error.length <= 2, error.join('\n'))
}

describe('a mesh of two machines', () => {
  const [home, guest, other] = [new Machine(), new Machine(), new Machine()]
  let invitation: string
  before(async () => {
    await home.up('--name', 'home', '--certificates', '6s', '--models', 'makers/none')
  })
  after(async () => {
    for (const machine of [guest, other, home]) await machine.remove()
  })

  it('says so when it is started a second time', async () => {
    refused(await home.do('up'), 4, /belongs to a mesh that is running/)
  })

  it('takes in a machine that has nothing but the string', async () => {
    refused(await home.do('invite', '--labels', 'Berlin, no'), 2, /are no labels/)
    invitation = await home.invite('--roles', 'worker,inference', '--labels', 'site=berlin,gpu')
    await guest.join(invitation, '--name', 'guest', '--models', 'makers/none')
    const nodes = await home.nodes()
    assert.deepEqual(
      nodes.map(({ name }) => name),
      ['guest', 'home', 'operator'],
    )
    const [found] = nodes
    assert.deepEqual(found?.roles, ['worker', 'inference'])
    assert.equal(found?.model, 'clawmesh-tiny')
    assert.match(found?.hardware ?? '', /threads/)
  })

  it('says what each machine lacks for what was wanted of it, and that it runs no actions', async () => {
    assert.match(home.said(), /^· home: makers\/none may be loaded and is not in the store/m)
    await eventually(() => assert.match(guest.said(), /^· makers\/none may be loaded and is not in the store/m))
    for (const [machine, command] of [
      [home, 'up'],
      [guest, 'join'],
    ] as const)
      assert.ok(
        machine
          .said()
          .includes(
            `no workspace and so runs no actions; \`clawmesh ${command} --workspace DIR --data '${machine.data}'\``,
          ),
        machine.said(),
      )
  })

  it('verifies what a member has of the trail, and names the place where the rest is', async () => {
    refused(await guest.do('tasks', 'list'), 2, /is of a node that joined a mesh/)
    const whole = await guest.do('audit', 'verify', '--json')
    assert.deepEqual(z.object({ ok: z.boolean(), nodes: z.array(z.string()) }).parse(JSON.parse(whole.stdout)), {
      ok: true,
      nodes: ['guest'],
    })
    assert.match(whole.stderr, /where the mesh was made: clawmesh audit verify/)
    refused(await guest.do('audit', 'tail'), 2, /members cannot read its trail/)
    const copy = join(temporaryFolder(), 'copy')
    cpSync(guest.data, copy, { recursive: true, filter: (path) => !/[/.]lock(\.|$)/.test(path) })
    const chain = join(copy, 'nodes', 'guest', 'audit.chain')
    const bytes = readFileSync(chain)
    bytes[200] = (bytes[200] ?? 0) ^ 1
    writeFileSync(chain, bytes)
    assert.match(verifyOwnChains(dataPaths(copy)).faults[0]?.place ?? '', /chain file of node guest/)
    writeFileSync(chain, '')
    writeFileSync(`${chain}.sent`, '1')
    assert.match(verifyOwnChains(dataPaths(copy)).faults[0]?.what ?? '', /holds 0 whole records; 1 were sent/)
  })

  it('lowers a label for who holds its keys, on record, and for no guest', async () => {
    const rules = join(home.data, 'router.yaml')
    const kept = shippedRules.replace(
      /^files: \[\]$/m,
      'files: [{ path: board, label: RESTRICTED, categories: [FIN] }]',
    )
    writeFileSync(rules, kept)
    const lower = ['label', 'lower', 'board/plan.txt', '--to', 'INTERNAL', '--by', 'Anna Becker'] as const
    refused(await guest.do(...lower, '--reason', 'published'), 3, /only who holds its keys/)
    refused(await home.do(...lower), 2, /for a reason/)
    const lock = takeLock(`${rules}.lock`)
    refused(await home.do(...lower, '--reason', 'at the same time'), 4, /is changing the router rules/)
    assert.ok('release' in lock)
    lock.release()
    assert.equal(readFileSync(rules, 'utf8'), kept)
    assert.equal((await home.do(...lower, '--reason', 'published')).status, 0)
    const { stdout } = await home.do('label', 'show', 'board/plan.txt', '--json')
    assert.equal(JSON.parse(stdout).label, 'INTERNAL')
    const { stdout: told } = await home.do('audit', 'query', '--kind', 'label')
    assert.match(told, /label\.lowered Anna Becker .*published/)
    assert.doesNotMatch(told, /at the same time/)
  })

  it('lowers what a task has seen in the same way, and says what it is now', async () => {
    const ground = await openLiveGround(home.data)
    assert.ok(ground)
    const { transport, addresses, authority } = ground
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: 'test' })
    const task = await tasks.begin({ agent: 'clerk', task: 'Sum up.' }, 'board-minutes')
    const seen = { label: 'RESTRICTED', categories: ['FIN'] } as const
    await task.step('thought 1', { result: z.unknown(), repeatable: true }, async () => ({ seen }))
    await ground.close()
    const lower = ['label', 'lower', '--task', 'board', '--to', 'INTERNAL', '--by', 'Anna Becker'] as const
    refused(await guest.do(...lower, '--reason', 'published'), 3, /only who holds its keys/)
    assert.equal((await home.do(...lower, '--reason', 'published')).status, 0)
    const { stdout } = await home.do('label', 'show', '--task', 'board', '--json')
    const { label, categories, refused: forged } = JSON.parse(stdout)
    assert.deepEqual([label, categories, forged], ['INTERNAL', [], []])
    const { stdout: told } = await home.do('audit', 'query', '--trace', 'board-minutes')
    assert.match(told, /label\.lowered Anna Becker .*published/)
  })

  it('is seen the same from both', async () => {
    assert.deepEqual(await guest.names(), await home.names())
  })

  it('leaves no file with a key in it that others may read, and nothing of the authority with the guest', () => {
    for (const machine of [home, guest])
      for (const entry of readdirSync(machine.data, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name)
        if (entry.isFile() && /\.(json|key)$/.test(entry.name)) assert.equal(statSync(path).mode & 0o077, 0, path)
      }
    assert.equal(existsSync(join(guest.data, 'joining.json')), false)
    assert.equal(existsSync(join(guest.data, 'authority')), false)
  })

  it('renews certificates while the nodes run', async () => {
    const file = join(guest.data, 'nodes', 'guest', 'credentials.json')
    const certificate = () => JSON.parse(readFileSync(file, 'utf8')).certificate
    const first = certificate()
    await eventually(() => assert.notEqual(certificate(), first), 10_000)
    const second = certificate()
    await eventually(() => assert.notEqual(certificate(), second), 10_000)
    const guestNow = (await home.nodes()).find(({ name }) => name === 'guest')
    assert.deepEqual(guestNow?.labels, ['site=berlin', 'gpu'])
    // What it just wrote may be on its way; a while later nothing is.
    await eventually(async () => assert.equal((await home.nodes()).find(({ name }) => name === 'guest')?.auditLag, 0))
  })

  it('refuses a string that was used, and one whose name is taken', async () => {
    refused(await other.do('join', invitation), 3, /used already/)
    refused(await other.do('join', await home.invite(), '--name', 'guest'), 3, /has a node named "guest" already/)
    refused(await home.do('invite', '--name', 'guest'), 3, /has a node named "guest" already/)
    assert.equal(existsSync(join(other.data, 'nodes', 'guest', 'credentials.json')), false)
  })

  it('refuses a string that is damaged, too old, or asks for what was not invited', async () => {
    const good = await home.invite('--roles', 'sandbox')
    refused(await other.do('join', good.slice(0, -4)), 2, /damaged/)
    refused(await other.do('join', good, '--name', 'other'), 3, /invitation is for sandbox/)
    const short = await home.invite('--expires', '1s')
    const made = Date.now()
    await eventually(() => assert.ok(Date.now() > made + 2000))
    refused(await other.do('join', short), 2, /ended at/)
    refused(await other.do('join'), 2, /belongs to no mesh yet/)
  })

  it('goes on with no string after the machine went down hard', async () => {
    await guest.kill()
    await eventually(async () => assert.ok(!(await home.names()).includes('guest')), 15_000)
    await guest.join()
    assert.ok((await home.names()).includes('guest'))
  })

  it('is found again by its nodes after it went down hard itself', async () => {
    await home.kill()
    await home.up()
    await eventually(async () => assert.deepEqual(await home.names(), ['guest', 'home', 'operator']), 20_000)
    await eventually(() => assert.match(guest.said(), /the mesh is out of reach[\s\S]*the mesh is back/))
  })

  it('says that it waits for a mesh that is away, before the wait is over', async () => {
    await guest.stop()
    await home.stop()
    const joined = guest.join()
    await eventually(() => assert.match(guest.said(), /the mesh is out of reach; this node waits for it/), 20_000)
    assert.doesNotMatch(guest.said(), /did not come up/)
    await home.up()
    await joined
    assert.match(guest.said(), /the mesh is back/)
  })

  it('does not let a machine of another mesh in, nor a node of one join the other', async () => {
    await other.up('--name', 'other')
    const theirs = await other.invite()
    refused(await guest.do('join', theirs), 4, /running/)
    await guest.stop()
    refused(await guest.do('join', theirs), 2, /is node "guest" of another mesh/)
    refused(await guest.do('join', await home.invite()), 2, /is node "guest" of that mesh already/)
    refused(await other.do('join', await home.invite()), 4, /running/)
    await other.stop()
    refused(await other.do('join', await home.invite()), 2, /holds a mesh of its own/)
    await guest.join()
  })

  it('drops a revoked node at once, and for good', async () => {
    const running = await guest.stop().then(() => guest.join())
    const { status } = await home.do('revoke', 'guest')
    assert.equal(status, 0)
    assert.deepEqual(await home.names(), ['home', 'operator'])
    refused(await running.ended, 3, /turned this node away/)
    const log = readFileSync(join(guest.data, 'nodes', 'guest', 'node.log'), 'utf8')
      .trim()
      .split('\n')
    const last = log.map((line) => JSON.parse(line)).findLast(({ msg }) => /turned this node away/.test(msg))
    // From the decision on disk to the end of a process, with the broker's two refusals to let it in again between them.
    const took = last.time - statSync(join(home.data, 'authority', 'revoked.json')).mtimeMs
    assert.ok(took < 15_000, `${took} ms`)
    // The way back is the same wherever it is told of.
    const again = await guest.do('join')
    refused(again, 3, /revoked|knows this user no more/)
    const anew = await guest.do('join', await home.invite())
    refused(anew, 2, /is node "guest" of that mesh already/)
    for (const { error } of [await running.ended, again, anew]) assert.match(error[1] ?? '', /--data DIR/)
    refused(await home.do('revoke', 'nobody'), 2, /no node named "nobody"/)
  })

  it('keeps it out after its own restart, and gives the name to another', async () => {
    await home.stop()
    await home.up()
    refused(await guest.do('join'), 3, /revoked|knows this user no more/)
    const heir = new Machine()
    await heir.join(await home.invite('--name', 'guest'))
    assert.ok((await home.names()).includes('guest'))
    await heir.remove()
  })

  it('has all of it in a trail that is whole', async () => {
    await home.stop()
    const { stdout, status } = await home.do('audit', 'verify', '--json')
    assert.equal(status, 0, stdout)
  })
})

describe('an authority that dies while it is asked', () => {
  const [home, guest] = [new Machine(), new Machine()]
  after(async () => {
    for (const machine of [guest, home]) await machine.remove()
  })

  it('answers after its restart, and enters the newcomer once', async () => {
    const workspace = join(home.data, '..', 'workspace')
    mkdirSync(workspace)
    const running = await home.up('--name', 'home', '--workspace', workspace, '--policy', 'code-workspace')
    assert.match(running.stderr(), /Every action in .*workspace is refused under the policy code-workspace: .*\.git/)
    const invitation = await home.invite()
    // It hears nothing more; its broker, a process of its own, goes on and has somebody to hold the question for.
    running.child.kill('SIGSTOP')
    const joining = guest.join(invitation, '--name', 'guest')
    await eventually(() => assert.ok(existsSync(join(guest.data, 'joining.json'))), 20_000)
    await home.kill()
    await home.up()
    await joining
    await eventually(async () => assert.deepEqual(await home.names(), ['guest', 'home', 'operator']), 20_000)
  })

  it('tells a newcomer where a policy of its own refuses every action of its workspace', async () => {
    const newcomer = new Machine()
    const theirs = join(newcomer.data, '..', 'workspace')
    mkdirSync(theirs)
    try {
      const offer = ['--name', 'newcomer', '--workspace', theirs, '--policy', 'code-workspace']
      const joined = await newcomer.join(await home.invite(), ...offer)
      const told = /Every action in .*workspace is refused under the policy code-workspace: .*\.git/
      await eventually(() => assert.match(joined.stderr(), told))
    } finally {
      await newcomer.remove()
    }
    assert.equal((await home.do('revoke', 'newcomer')).status, 0)
  })

  it('gives the same key the same place when the answer was lost, and no other key', async () => {
    const [second, thief] = [new Machine(), new Machine()]
    try {
      const invitation = await home.invite()
      const joining = second.join(invitation, '--name', 'second').catch((error: unknown) => error)
      // The moment it is entered, before it can use what it was given.
      const entered = join(home.data, 'authority', 'nodes', 'second.json')
      await eventually(() => assert.ok(existsSync(entered)), 20_000)
      await Promise.all([home.kill(), second.kill()])
      await joining
      await home.up()
      const { status, error } = await thief.do('join', invitation, '--name', 'second')
      assert.equal(status, 3)
      assert.match(error[0] ?? '', /used already|has a node named/)
      const isMember = existsSync(join(second.data, 'nodes', 'second', 'credentials.json'))
      await (isMember ? second.join() : second.join(invitation, '--name', 'second'))
      await eventually(
        async () => assert.deepEqual(await home.names(), ['guest', 'home', 'operator', 'second']),
        20_000,
      )
    } finally {
      await second.remove()
      await thief.remove()
    }
  })
})
