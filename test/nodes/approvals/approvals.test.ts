/** Held actions as questions, on a real broker: what people see, who decides, and what becomes of the rest. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { addressesOf } from '../../../mesh/address.js'
import { beatMs } from '../../../mesh/directory.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { writeRevocations } from '../../../mesh/seal/revocation.js'
import {
  approvalsName,
  DecideApproval,
  ForgetTasks,
  ListApprovals,
  RevokeGrant,
} from '../../../nodes/approvals/messages.js'
import { additions, grantOf, reaches } from '../../../nodes/approvals/question.js'
import { AskApproval, approverName } from '../../../sandbox/approval.js'
import { eventually } from '../../kit/eventually.js'
import { once, openDesk, refuse, type Stand, soon } from './desk.js'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

describe('a held action', () => {
  let stand: Stand
  let tasks = 0
  /** Each test has a task of its own. */
  const task = () => `task-${++tasks}`
  /** One with a journal. */
  const begun = async () => {
    const running = await stand.tasks?.begin({ request: 'anything' })
    return { id: running?.id ?? '', end: async () => running?.end({ ok: true }) }
  }
  before(async () => {
    stand = await openDesk()
  })
  after(() => stand?.close())

  it('is a question with its exact arguments and what a yes adds; the answer has a name, in the trail too', async () => {
    const own = task()
    const follower = stand.follow()
    const seen = (async () => {
      for await (const view of follower) if (view.task === own) return view
      throw new Error('nothing came')
    })()
    const answer = stand.ask({ task: own, args: { path: '../secret', from: 1 }, paths: ['/secret'] })
    const view = await seen
    assert.deepEqual(
      [view.node, view.tool, view.args, view.adds],
      ['box', 'read_file', { path: '../secret', from: 1 }, { read_only: ['/secret'], read_write: [] }],
    )
    assert.equal(await soon(answer), undefined, 'it waits')
    await stand.decide(view.id, once, 'Grace')
    assert.deepEqual(await answer, { answer: 'allow', by: 'Grace' })
    const ofTask = async (kind: string) => (await stand.events(kind)).filter(({ trace }) => trace === own)
    const [asked] = await ofTask('approval.asked')
    const [decided, another] = await ofTask('approval.decided')
    assert.equal(asked?.['question'], view.id)
    assert.deepEqual(
      [decided?.['by'], decided?.['via'], decided?.['answer'], another],
      ['Grace', 'front', 'allow', undefined],
    )
  })

  it('is decided by exactly one of two approvers, and the other is told by whom', async () => {
    for (let round = 0; round < 20; round += 1) {
      const own = task()
      const answer = stand.ask({ task: own })
      const [view] = await stand.shown()
      assert.ok(view)
      const outcomes = await Promise.allSettled([
        stand.decide(view.id, once, 'Grace'),
        stand.decide(view.id, refuse, undefined, stand.ada),
      ])
      const won = outcomes.filter(({ status }) => status === 'fulfilled')
      assert.equal(won.length, 1)
      const { by, answer: said } = await answer
      assert.ok((by === 'Grace' && said === 'allow') || (by === 'ada' && said === 'refuse'))
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') {
          assert.ok(code('ALREADY_DECIDED')(outcome.reason))
          assert.match(String(outcome.reason), new RegExp(`by ${by} at`))
        }
      const decided = (await stand.open('all')).find(({ id }) => id === view.id)
      assert.equal(decided?.verdict?.by, by)
    }
    assert.equal((await stand.events('approval.refused')).length, 20, 'each that did not count is in the trail')
  })

  it('is refused at its deadline, and an answer after it changes nothing', async () => {
    const quick = await openDesk({ answerWithinMs: 300 })
    try {
      const answer = quick.ask()
      const view = await eventually(async () => {
        const [asked] = await quick.open('all')
        assert.ok(asked)
        return asked
      })
      assert.deepEqual(await answer, { answer: 'refuse', by: 'nobody: the question was not answered in time' })
      await assert.rejects(quick.decide(view.id, once, 'Grace'), (error: Error) => {
        assert.match(error.message, /too late/)
        return code('ALREADY_DECIDED')(error)
      })
      assert.equal((await quick.open()).length, 0)
    } finally {
      await quick.close()
    }
  })

  it('a yes for the session is one to the same tool, place and paths of that task, until it is revoked', async () => {
    const own = task()
    const first = stand.ask({ task: own })
    const [view] = await stand.shown()
    await stand.decide(view?.id ?? '', { answer: 'allow', reach: 'session' }, 'Grace')
    await first
    assert.deepEqual(await stand.ask({ task: own, args: { path: '../a', from: 2 } }), {
      answer: 'allow',
      by: 'Grace, by an answer that stands',
    })
    const others = [{ task: own, paths: ['/a', '/b'] }, { task: own, tool: 'write_note' }, { task: task() }].map(
      (asked) => stand.ask(asked),
    )
    for (const { id } of await stand.shown(3)) await stand.decide(id, refuse, 'Grace')
    for (const answer of others) assert.equal((await answer).answer, 'refuse')
    await stand.front.ref(approvalsName).ask(RevokeGrant, { id: view?.id ?? '', by: 'Eve' })
    const again = stand.ask({ task: own })
    for (const { id } of await stand.shown()) await stand.decide(id, refuse, 'Grace')
    assert.equal((await again).answer, 'refuse')
    assert.equal((await stand.events('approval.revoked')).at(-1)?.['by'], 'Eve')
  })

  it('a yes to one program that runs is none to another, nor to an action that has not begun', async () => {
    const own = task()
    const first = stand.ask({ task: own, by: '/bin/cat' })
    const [view] = await stand.shown()
    await stand.decide(view?.id ?? '', { answer: 'allow', reach: 'session' }, 'Grace')
    assert.equal((await first).answer, 'allow')
    assert.equal((await stand.ask({ task: own, by: '/bin/cat' })).answer, 'allow')
    const others = [stand.ask({ task: own, by: '/bin/curl' }), stand.ask({ task: own })]
    for (const { id } of await stand.shown(2)) await stand.decide(id, refuse, 'Grace')
    for (const answer of others) assert.equal((await answer).answer, 'refuse')
    await stand.front.ref(approvalsName).ask(RevokeGrant, { id: view?.id ?? '', by: 'Grace' })
  })

  it('a yes to write a file is none to remove or rename it, nor the other way round', () => {
    const access = { kind: 'write' as const, path: '/a', by: '/bin/mv' }
    const wishes = [
      access,
      { ...access, operation: 'remove' as const },
      { ...access, operation: 'rename' as const, to: '/b' },
      { ...access, operation: 'rename' as const, to: '/c' },
      { ...access, operation: 'rename' as const, to: '/c', replaces: true as const },
    ]
    const asked = {
      id: 'q',
      task: 't',
      node: 'n',
      tool: 'shell',
      args: {},
      workspace: '/w',
      askedAt: 0,
      deadline: 1,
      verdict: null,
    }
    const verdict = { answer: 'allow' as const, reach: 'session' as const, by: 'Grace', via: 'n', at: 0 }
    for (const [index, wish] of wishes.entries()) {
      const grant = grantOf({ ...asked, missing: [wish] }, verdict)
      assert.ok(grant)
      assert.deepEqual(
        wishes.map((other) => reaches(grant, { ...asked, missing: [other] }, 1)),
        wishes.map((_, at) => at === index),
      )
    }
  })

  it('a yes adds to the policy of an action that has not begun, and nothing to that of one that runs', () => {
    const begins = [
      { kind: 'read' as const, path: '/r' },
      { kind: 'execute' as const, path: '/x' },
      { kind: 'write' as const, path: '/w' },
    ]
    assert.deepEqual(additions(begins), { read_only: ['/r', '/x'], read_write: ['/w'] })
    const runs = [
      ...begins.map((access) => ({ ...access, by: '/bin/cat' })),
      { kind: 'write' as const, path: '/a', by: '/bin/mv', operation: 'remove' as const },
      { kind: 'connect' as const, path: 'example.org:443 by /usr/bin/curl' },
    ]
    for (const wish of runs) assert.deepEqual(additions([wish]), { read_only: [], read_write: [] })
  })

  for (const seen of ['in the list', 'by what asks still'] as const)
    it(`for a session stands until its task has ended, and no longer: ${seen}`, async () => {
      const { id: own, end } = await begun()
      const standing = async () => {
        const { grants } = await stand.front.ref(approvalsName).ask(ListApprovals, { state: 'open' })
        return grants.filter(({ task: of }) => of === own).length
      }
      const first = stand.ask({ task: own })
      const [view] = await stand.shown()
      await stand.decide(view?.id ?? '', { answer: 'allow', reach: 'session' }, 'Grace')
      await first
      assert.equal((await stand.ask({ task: own })).answer, 'allow')
      assert.equal(await standing(), 1)
      await end()
      if (seen === 'in the list') return assert.equal(await standing(), 0)
      const late = stand.ask({ task: own })
      for (const { id } of await stand.shown()) await stand.decide(id, refuse, 'Grace')
      assert.equal((await late).answer, 'refuse')
    })

  it('of no task has no session: a yes for it is for once', async () => {
    for (const answered of ['first', 'second']) {
      const answer = stand.ask({ task: '' })
      const [view] = await stand.shown()
      const { verdict } = await stand.decide(view?.id ?? '', { answer: 'allow', reach: 'session' }, answered)
      assert.equal(verdict?.reach, 'once', 'and it says so')
      assert.equal((await answer).by, answered)
    }
  })

  it('whose asker has gone takes nobody else with it who asked for the same', async () => {
    const own = task()
    const leaving = new AbortController()
    const first = stand.ask({ task: own, signal: leaving.signal })
    await stand.shown()
    const second = stand.ask({ task: own })
    await eventually(async () => assert.equal((await stand.open())[0]?.folded, 1))
    leaving.abort()
    assert.equal((await first).answer, 'refuse')
    const next = await eventually(async () => {
      const [view] = await stand.open()
      assert.equal(view?.folded, 0)
      return view
    })
    await stand.decide(next?.id ?? '', once, 'Grace')
    assert.deepEqual(await second, { answer: 'allow', by: 'Grace' })
  })

  it('a yes for a time is one to other tasks too, until the time is over', async () => {
    let aheadMs = 0
    const timed = await openDesk({}, () => Date.now() + aheadMs)
    try {
      const first = timed.ask({ task: task() })
      const [view] = await timed.shown()
      await timed.decide(view?.id ?? '', { answer: 'allow', reach: 'time', forMs: 20_000 }, 'Grace')
      await first
      assert.equal((await timed.ask({ task: task() })).answer, 'allow')
      aheadMs = 20_000
      const { grants } = await timed.front.ref(approvalsName).ask(ListApprovals, { state: 'open' })
      assert.deepEqual(grants, [])
      const later = timed.ask({ task: task() })
      for (const { id } of await timed.shown()) await timed.decide(id, refuse, 'Grace')
      assert.equal((await later).answer, 'refuse')
    } finally {
      await timed.close()
    }
  })

  it('a yes for a number of uses is one to so many, of any task, and to no more at once', async () => {
    const first = stand.ask({ task: task() })
    const [view] = await stand.shown()
    await stand.decide(view?.id ?? '', { answer: 'allow', reach: 'uses', uses: 3 }, 'Grace')
    await first
    assert.equal((await stand.events('approval.decided')).findLast(({ reach }) => reach === 'uses')?.['uses'], 3)
    const others = Array.from({ length: 3 }, () => stand.ask({ task: task() }))
    const [left] = await stand.shown()
    await stand.decide(left?.id ?? '', refuse, 'Hedy')
    const answers = (await Promise.all(others)).map(({ answer }) => answer)
    assert.deepEqual(answers.sort(), ['allow', 'allow', 'refuse'])
    const { grants } = await stand.front.ref(approvalsName).ask(ListApprovals, { state: 'open' })
    assert.ok(!grants.some(({ id }) => id === view?.id))
  })

  it('of a flood is few questions: the same ones are folded, one yes lets one go, one no ends them, and one for the session all', async () => {
    const own = task()
    const same = Array.from({ length: 20 }, () => stand.ask({ task: own }))
    const different = Array.from({ length: 20 }, (_, index) => stand.ask({ task: own, paths: [`/other/${index}`] }))
    const open = await eventually(async () => {
      const views = await stand.open()
      const folded = views.find(({ missing }) => missing[0]?.path === '/a')
      assert.deepEqual([views.length, folded?.folded, folded?.behind], [5, 19, 16])
      return views
    })
    const [leader] = open
    await stand.decide(leader?.id ?? '', once, 'Grace')
    const allowed = await eventually(async () => {
      const next = (await stand.open()).find(({ missing }) => missing[0]?.path === '/a')
      assert.equal(next?.folded, 18, 'exactly one went')
      return next
    })
    await stand.decide(allowed?.id ?? '', refuse, 'Grace')
    const answers = await Promise.all(same)
    assert.equal(answers.filter(({ answer }) => answer === 'allow').length, 1)
    const [other] = await stand.open()
    await stand.decide(other?.id ?? '', { answer: 'refuse', reach: 'session' }, 'Grace')
    assert.ok((await Promise.all(different)).every(({ answer }) => answer === 'refuse'))
    assert.equal((await stand.ask({ task: own, paths: ['/yet/another'] })).answer, 'refuse')
    assert.deepEqual(await stand.open(), [])
  })

  it('is refused at once beyond what people can be asked', async () => {
    const own = task()
    const gone = new AbortController()
    const askings = Array.from({ length: 101 }, (_, index) =>
      stand.ask({ task: own, paths: [`/${index}`], signal: gone.signal }),
    )
    const first = await Promise.race(askings)
    assert.match(first.by, /100 actions of this task wait/)
    gone.abort()
    await Promise.all(askings)
  })

  it('can be answered by approvers and gateways alone, and each in his own name', async () => {
    const own = task()
    const answer = stand.ask({ task: own })
    const view = await eventually(async () => {
      const found = (await stand.open()).find((one) => one.task === own)
      assert.ok(found)
      return found
    })
    await assert.rejects(stand.decide(view.id, once, 'Grace', stand.box), code('DENIED'))
    await assert.rejects(stand.open('open', stand.box), code('DENIED'))
    await stand.decide(view.id, once, 'Grace', stand.ada)
    assert.deepEqual(await answer, { answer: 'allow', by: 'ada' })
    await assert.rejects(stand.decide('no-such-question', once, 'Grace'), code('NOT_FOUND'))
  })

  it('says of the node that asks what its certificate says, and answers no other by its id', async () => {
    const own = task()
    const id = 'an-id-of-its-own'
    const question = { id, node: 'innocent', tool: 'read_file', args: {}, missing: [], workspace: '/' }
    const answer = stand.box.ref(approverName).ask(AskApproval, question, { trace: own, timeoutMs: 120_000 })
    const view = await eventually(async () => {
      const found = (await stand.open()).find((one) => one.task === own)
      assert.ok(found)
      return found
    })
    assert.equal(view.node, 'box')
    const thief = await stand.mesh.join('thief', { roles: ['sandbox'] })
    await assert.rejects(thief.ref(approverName).ask(AskApproval, question), code('DENIED'))
    await stand.decide(id, refuse, 'Grace')
    assert.equal((await answer).answer, 'refuse')
    await assert.rejects(thief.ref(approverName).ask(AskApproval, question), code('DENIED'))
  })

  it('cannot be answered by an approver who was revoked between the question and the answer', async () => {
    const { mesh } = stand
    const mallory = await mesh.join('mallory', { roles: ['approver'] })
    const own = task()
    const answer = stand.ask({ task: own })
    const view = await eventually(async () => {
      const found = (await stand.open('open', mallory)).find((one) => one.task === own)
      assert.ok(found)
      return found
    })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const transport = await mesh.connectAsAuthority()
    const bucket = await transport.bucket(addresses.directory)
    await bucket.put(
      addresses.revokedKey,
      writeRevocations(authority.mesh, [mallory.self.certificate.holder], authority.root),
    )
    await eventually(() => assert.equal(stand.home.directory.node('mallory'), undefined))
    await assert.rejects(mallory.ref(approvalsName).ask(ListApprovals, { state: 'open' }, { timeoutMs: 500 }))
    const decision = { id: view.id, decision: once }
    await assert.rejects(mallory.ref(approvalsName).ask(DecideApproval, decision, { timeoutMs: 500 }))
    assert.equal(await soon(answer), undefined)
    await stand.decide(view.id, refuse, 'Grace')
    assert.equal((await answer).by, 'Grace')
    await transport.close()
  })

  it('of a person who is erased is refused, and not kept; the authority alone says so', async () => {
    const [erased, other] = [task(), task()]
    const first = stand.ask({ task: erased, paths: ['/first'] })
    const [asked] = await stand.shown()
    await stand.decide(asked?.id ?? '', once, 'Grace')
    assert.equal((await first).answer, 'allow')
    const open = stand.ask({ task: erased, paths: ['/second'] })
    const [still] = await stand.shown()
    const kept = stand.ask({ task: other })
    await stand.shown(2)
    const forget = (node = stand.home) => node.ref(approvalsName).ask(ForgetTasks, { tasks: [erased] })
    await assert.rejects(forget(stand.front), code('DENIED'))
    assert.deepEqual((await forget()).sort(), [asked?.id, still?.id].sort())
    assert.deepEqual(await open, { answer: 'refuse', by: 'nobody: whom its task is about was erased' })
    const left = await stand.open('all')
    assert.ok(!left.some((view) => view.task === erased))
    const [question] = left.filter((view) => view.task === other)
    await stand.decide(question?.id ?? '', once, 'Grace')
    assert.equal((await kept).answer, 'allow')
  })

  it('stands sealed on the broker', async () => {
    const own = task()
    const answer = stand.ask({ task: own, args: { path: 'CANARY-0815' } })
    const [view] = await stand.shown()
    const { authority } = stand.mesh
    const transport = await stand.mesh.connectAsAuthority()
    const bucket = await transport.bucket(addressesOf(authority.mesh, authority.meshKey).approvals)
    const entry = await bucket.get(view?.id ?? '')
    assert.ok(entry?.value)
    assert.ok(!Buffer.from(entry.value).includes('CANARY'))
    await stand.decide(view?.id ?? '', refuse, 'Grace')
    await answer
    await transport.close()
  })
})

describe('questions outlive who keeps them', () => {
  it('a question is taken up by the next process, and its answer reaches the action that still waits', async () => {
    const stand = await openDesk()
    try {
      const answer = stand.ask()
      const [view] = await stand.shown()
      const next = await stand.mesh.join('next', { roles: ['authority', 'supervisor', 'gateway'] })
      await stand.home.close()
      await stand.serve(next)
      const [again] = await stand.shown()
      assert.deepEqual([again?.id, again?.deadline], [view?.id, view?.deadline])
      await stand.decide(view?.id ?? '', once, 'Grace')
      assert.deepEqual(await answer, { answer: 'allow', by: 'Grace' })
    } finally {
      await stand.close()
    }
  })

  it('a question of a node whose clock is ahead stays open, until that node was started again', async () => {
    const stand = await openDesk()
    try {
      const credentials = enrol(stand.mesh.authority, { name: 'fast', roles: ['sandbox'] }, Date.now())
      const clock = { credentials, now: () => Date.now() + 5 * beatMs }
      const fast = await stand.mesh.join('fast', clock)
      const asking = stand.ask({ node: fast })
      const [view] = await stand.shown()
      const next = await stand.mesh.join('next', { roles: ['authority', 'supervisor', 'gateway'] })
      await stand.home.close()
      await stand.serve(next, { takenUpWithinMs: 60_000 })
      assert.equal((await stand.shown())[0]?.id, view?.id)
      const last = await stand.mesh.join('last', { roles: ['authority', 'supervisor', 'gateway'] })
      await next.close()
      // Within a beat, which of the two came first is not told apart.
      await Promise.all([fast.close(), asking, delay(beatMs)])
      const again = await stand.mesh.join('fast', clock)
      await eventually(() =>
        assert.equal(last.directory.node('fast')?.advert['since'], again.directory.node('fast')?.advert['since']),
      )
      await stand.serve(last, { takenUpWithinMs: 60_000 })
      const [ended] = (await stand.open('all')).filter(({ id }) => id === view?.id)
      assert.match(ended?.verdict?.by ?? '', /whoever asked has given up/)
    } finally {
      await stand.close()
    }
  })

  it('a question whose asker died with that process stands in nobody’s way', async () => {
    const stand = await openDesk()
    try {
      const gone = new AbortController()
      const { subjects } = stand.mesh.authority
      const dead = stand.ask({ signal: gone.signal })
      const [left] = await stand.shown()
      stand.box.file('of grace', subjects.keyOf('grace'))
      const about = stand.ask({ task: 'of grace', signal: gone.signal })
      await stand.shown(2)
      const next = await stand.mesh.join('next', { roles: ['authority', 'supervisor', 'gateway'] })
      await stand.home.close()
      gone.abort()
      await Promise.all([dead, about])
      await stand.serve(next, { takenUpWithinMs: 300 })
      const answer = stand.ask()
      const [again] = await eventually(async () => {
        const open = await stand.open()
        const [other] = open.filter((view) => view.task === 't' && view.id !== left?.id)
        return [other ?? assert.fail('it is not asked yet')]
      })
      await stand.decide(again?.id ?? '', once, 'Grace')
      assert.deepEqual(await answer, { answer: 'allow', by: 'Grace' })
      const [first] = (await stand.open('all')).filter(({ id }) => id === left?.id)
      assert.match(first?.verdict?.by ?? '', /whoever asked has given up/)
      // What that process records of the question is about the same person, though nobody told it but the book.
      subjects.erase('grace', Date.now())
      const decided = (await stand.events('approval.decided')).filter(({ trace }) => trace === 'of grace')
      assert.deepEqual(decided, [{ erased: true, trace: 'of grace' }])
    } finally {
      await stand.close()
    }
  })

  it('without anybody who could come, an action is not held at all', async () => {
    const told: string[] = []
    const stand = await openDesk({ unattended: ({ tool }) => told.push(tool) })
    try {
      assert.match((await stand.ask()).by, /nobody follows/)
      assert.deepEqual(told, ['read_file'])
    } finally {
      await stand.close()
    }
  })
})
