/** What a mesh promises its users, whatever carries it. Run on each transport. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import { supervise } from '../../mesh/actor/supervisor.js'
import type { MeshNode } from '../../mesh/node.js'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import type { MeshFactory, TestMesh } from '../kit/mesh.js'

const Add = message('test.add', { request: z.number(), reply: z.number() })
const Slow = message('test.slow', { request: nothing, reply: z.string() })
const Fail = message('test.fail', { request: z.enum(['known', 'bug']), reply: nothing })
const Count = message('test.count', { request: z.number(), item: z.number() })
const Produced = message('test.produced', { request: nothing, reply: z.number() })
const Secret = message('test.secret', { request: nothing, reply: z.string(), from: ['auditor'] })

const Keep = message('test.keep', {
  request: z.object({ number: z.number(), text: z.string() }),
  reply: z.number(),
})
const Fetch = message('test.fetch', { request: z.number(), reply: z.string() })
const Read = message('test.read', { request: z.number(), item: z.string() })
const Vouch = message('test.vouch', { request: nothing, reply: z.boolean(), to: ['auditor'] })

const accumulator = actor('accumulator', () => {
  let sum = 0
  return [
    on(Add, (amount) => (sum += amount)),
    on(Secret, () => 'for auditors'),
    on(Fail, (how) => {
      if (how === 'known')
        throw new ClawmeshError('MODEL_BUSY', 'A known failure.', { hint: 'Wait.', data: { queue: 3 } })
      throw new TypeError('a bug')
    }),
  ]
})

/** Each of its calls waits until it is broken off. */
class Sleeps {
  begun = 0
  readonly aborted: string[] = []
}

const sleeper = (sleeps: Sleeps) =>
  actor(
    'sleeper',
    () => [
      on(
        Slow,
        (_, { signal }) =>
          new Promise((_resolve, reject) => {
            sleeps.begun += 1
            signal.addEventListener('abort', () => {
              sleeps.aborted.push((signal.reason as ClawmeshError).code)
              reject(signal.reason)
            })
          }),
      ),
    ],
    { args: z.undefined(), mailbox: 2, concurrency: 1 },
  )

const counter = actor(
  'counter',
  () => {
    let produced = 0
    return [
      on(Count, async function* (limit) {
        for (let n = 0; n < limit; n += 1) {
          produced += 1
          yield n
        }
      }),
      on(Produced, () => produced),
    ]
  },
  { args: z.undefined(), concurrency: 4 },
)

const code = (wanted: ErrorCode) => (error: unknown) => error instanceof ClawmeshError && error.code === wanted

export function meshContract(name: string, create: MeshFactory): void {
  describe(`a mesh over ${name}`, () => {
    let mesh: TestMesh
    let here: MeshNode
    let there: MeshNode

    before(async () => {
      mesh = await create()
      here = await mesh.join('here')
      there = await mesh.join('there', { hosts: [accumulator] })
    })
    after(() => mesh.close())

    it('answers across nodes and keeps an actor’s state', async () => {
      await there.spawn(accumulator, { as: 'sum' })
      assert.equal(await here.ref('sum').ask(Add, 2), 2)
      assert.equal(await here.ref('sum').ask(Add, 3), 5)
    })

    it('handles one sender’s messages in the order they were sent', async () => {
      await there.spawn(accumulator, { as: 'ordered' })
      const answers = await Promise.all([1, 10, 100, 1000].map((amount) => here.ref('ordered').ask(Add, amount)))
      assert.deepEqual(answers, [1, 11, 111, 1111])
    })

    it('carries what is too large for one letter, in the order in which it was sent', async () => {
      const seen: number[] = []
      const library = actor('library', () => [
        on(Keep, ({ number, text }) => {
          seen.push(number)
          return text.length
        }),
        on(Read, async function* (bytes) {
          for (let n = 0; n < 3; n += 1) yield `${n}${'x'.repeat(n === 1 ? bytes : 1)}`
        }),
        on(Fetch, (bytes) => 'y'.repeat(bytes)),
      ])
      await there.spawn(library)
      const ref = here.ref('library')
      const sizes = [4_500_000, 10, 1_000_000, 300_000, 20]
      const kept = await Promise.all(sizes.map((size, number) => ref.ask(Keep, { number, text: 'x'.repeat(size) })))
      assert.deepEqual([kept, seen], [sizes, [0, 1, 2, 3, 4]])
      assert.equal((await ref.ask(Fetch, 3_000_000)).length, 3_000_000)
      const items: number[] = []
      for await (const item of ref.stream(Read, 2_000_000)) items.push(item.length)
      assert.deepEqual(items, [2, 2_000_001, 2])
    })

    it('carries an error with its code, hint and facts, and the actor lives on', async () => {
      await there.spawn(accumulator, { as: 'failing' })
      await assert.rejects(here.ref('failing').ask(Fail, 'known'), (error) => {
        assert.ok(error instanceof ClawmeshError)
        assert.deepEqual([error.code, error.hint, error.data], ['MODEL_BUSY', 'Wait.', { queue: 3 }])
        return true
      })
      assert.equal(await here.ref('failing').ask(Add, 1), 1)
    })

    it('tells the caller of a crash, and the actor is gone', async () => {
      await there.spawn(accumulator, { as: 'crashing' })
      await assert.rejects(here.ref('crashing').ask(Fail, 'bug'), code('ACTOR_CRASHED'))
      await assert.rejects(here.ref('crashing').ask(Add, 1, { timeoutMs: 300 }), code('UNREACHABLE'))
    })

    it('refuses a request that does not fit the message', async () => {
      await there.spawn(accumulator, { as: 'strict' })
      const lie = 'three' as unknown as number
      await assert.rejects(here.ref('strict').ask(Add, lie), code('MESSAGE_INVALID'))
    })

    it('refuses a message from a node without the role, and says which is needed', async () => {
      await there.spawn(accumulator, { as: 'guarded' })
      await assert.rejects(
        here.ref('guarded').ask(Secret, null),
        (error) => code('DENIED')(error) && /auditor/.test(String(error)),
      )
    })

    it('ends a call at its deadline and tells the handler', async () => {
      const sleeps = new Sleeps()
      await there.spawn(sleeper(sleeps), { as: 'late' })
      await eventually(() => assert.ok(here.directory.locate('late')))
      // One whose time is over before it gets there is not begun; the next one will be.
      let asked = 0
      for (; sleeps.begun === 0; asked += 1)
        await assert.rejects(here.ref('late').ask(Slow, null, { timeoutMs: 100 }), code('DEADLINE'))
      await eventually(() => assert.deepEqual(sleeps.aborted, Array(sleeps.begun).fill('DEADLINE')))
      assert.ok(sleeps.begun <= asked)
    })

    it('carries a cancellation to the handler', async () => {
      const sleeps = new Sleeps()
      await there.spawn(sleeper(sleeps), { as: 'cancelled' })
      const giveUp = new AbortController()
      const call = here.ref('cancelled').ask(Slow, null, { signal: giveUp.signal })
      const given = assert.rejects(call, code('CANCELLED'))
      await eventually(() => assert.equal(sleeps.begun, 1))
      giveUp.abort()
      await given
      await eventually(() => assert.deepEqual(sleeps.aborted, ['CANCELLED']))
    })

    it('says MAILBOX_FULL to the sender when an actor has too much waiting', async () => {
      await there.spawn(sleeper(new Sleeps()), { as: 'busy' })
      const giveUp = new AbortController()
      const calls = [1, 2, 3, 4].map(() =>
        here.ref('busy').ask(Slow, null, { timeoutMs: 60_000, signal: giveUp.signal }),
      )
      const ended = Promise.allSettled(calls)
      await assert.rejects(Promise.race(calls), code('MAILBOX_FULL'))
      giveUp.abort()
      const codes = (await ended).map((call) =>
        call.status === 'rejected' ? ClawmeshError.from(call.reason).code : '',
      )
      assert.deepEqual(codes.sort(), ['CANCELLED', 'CANCELLED', 'CANCELLED', 'MAILBOX_FULL'])
    })

    it('streams in order, and to the end', async () => {
      await there.spawn(counter, { as: 'stream' })
      const seen: number[] = []
      for await (const n of here.ref('stream').stream(Count, 500)) seen.push(n)
      assert.deepEqual(
        seen,
        Array.from({ length: 500 }, (_, n) => n),
      )
    })

    it('lets a slow reader hold the writer back, and stops it when the reader leaves', async () => {
      await there.spawn(counter, { as: 'slow-stream' })
      for await (const n of here.ref('slow-stream').stream(Count, 1_000_000)) {
        if (n < 100) continue
        const produced = await here.ref('slow-stream').ask(Produced, null)
        assert.ok(produced <= 100 + 2 * 64, `${produced} items were made for a reader that took 100`)
        break
      }
      const before = await here.ref('slow-stream').ask(Produced, null)
      assert.equal(await here.ref('slow-stream').ask(Produced, null), before)
    })

    it('gives a name to one actor only', async () => {
      await there.spawn(accumulator, { as: 'unique' })
      await assert.rejects(here.spawn(accumulator, { as: 'unique' }), code('DENIED'))
    })

    it('says UNREACHABLE for an actor that does not exist', async () => {
      await assert.rejects(here.ref('nobody').ask(Add, 1, { timeoutMs: 200 }), code('UNREACHABLE'))
    })

    it('starts a crashed child again on another node, fresh, under the same name', async () => {
      const spare = await mesh.join('spare', { hosts: [accumulator] })
      const supervisor = await supervise(here, {
        name: 'keeper',
        children: [{ name: 'kept', definition: 'accumulator', prefers: 'there' }],
      })
      assert.equal(supervisor.placeOf('kept'), 'there')
      assert.equal(await here.ref('kept').ask(Add, 7), 7)
      await assert.rejects(here.ref('kept').ask(Fail, 'bug'), code('ACTOR_CRASHED'))
      await eventually(() => assert.equal(supervisor.placeOf('kept'), 'spare'))
      assert.equal(await here.ref('kept').ask(Add, 1), 1)
      await supervisor.stop()
      await spare.close()
    })

    for (const [strategy, left] of [
      ['one-for-one', [7, 0, 7]],
      ['rest-for-one', [7, 0, 0]],
      ['one-for-all', [0, 0, 0]],
    ] as const) {
      it(`starts afresh who falls with a crashed child: ${strategy}`, async () => {
        const names = ['first', 'second', 'third'].map((name) => `${strategy}-${name}`)
        const restarted: string[] = []
        const supervisor = await supervise(here, {
          name: strategy,
          strategy,
          children: names.map((name) => ({ name, definition: 'accumulator' })),
          onRestart: (child) => restarted.push(child),
        })
        for (const name of names) await here.ref(name).ask(Add, 7)
        await assert.rejects(here.ref(names[1] ?? '').ask(Fail, 'bug'), code('ACTOR_CRASHED'))
        const fallen = names.filter((_, index) => left[index] === 0)
        await eventually(() => assert.deepEqual(restarted, fallen))
        assert.deepEqual(await Promise.all(names.map((name) => here.ref(name).ask(Add, 0))), left)
        await supervisor.stop()
        assert.deepEqual(
          names.map((name) => supervisor.placeOf(name)),
          [undefined, undefined, undefined],
        )
        await assert.rejects(here.ref(names[0] ?? '').ask(Add, 1, { timeoutMs: 300 }), code('UNREACHABLE'))
      })
    }

    it('gives up together those that fall together', async () => {
      const given: string[] = []
      const supervisor = await supervise(here, {
        name: 'house',
        strategy: 'one-for-all',
        children: ['floor', 'wall'].map((name) => ({ name, definition: 'accumulator' })),
        intensity: { restarts: 0, withinMs: 60_000 },
        onGiveUp: (child, error) => given.push(`${child}: ${error.code}`),
      })
      await assert.rejects(here.ref('wall').ask(Fail, 'bug'), code('ACTOR_CRASHED'))
      await eventually(() => assert.deepEqual(given, ['wall: RESTARTS_EXHAUSTED']))
      await assert.rejects(here.ref('floor').ask(Add, 1, { timeoutMs: 300 }), code('UNREACHABLE'))
      await supervisor.stop()
    })

    it('passes what was waiting for a crashed actor on to the one that takes its place', async () => {
      const supervisor = await supervise(here, {
        name: 'heir',
        children: [{ name: 'mortal', definition: 'accumulator' }],
      })
      const ref = here.ref('mortal')
      const [crash, ...waiting] = await Promise.allSettled([ref.ask(Fail, 'bug'), ref.ask(Add, 1), ref.ask(Add, 1)])
      assert.equal(crash.status === 'rejected' && (crash.reason as ClawmeshError).code, 'ACTOR_CRASHED')
      assert.deepEqual(waiting.map((call) => call.status === 'fulfilled' && call.value).sort(), [1, 2])
      await supervisor.stop()
    })

    it('does not ask an actor on a node without the role that answers, whatever its name', async () => {
      let asked = 0
      const impostor = actor('impostor', () => [on(Vouch, () => ++asked > 0)])
      await there.spawn(impostor, { as: 'notary' })
      await assert.rejects(
        here.ref('notary').ask(Vouch, null),
        (error) => code('DENIED')(error) && /answered by auditor/.test(String(error)),
      )
      assert.equal(asked, 0)
    })

    it('gives a child up that will not stay up', async () => {
      const given: ClawmeshError[] = []
      const supervisor = await supervise(here, {
        name: 'impatient',
        children: [{ name: 'hopeless', definition: 'accumulator' }],
        intensity: { restarts: 2, withinMs: 60_000 },
        onGiveUp: (_, error) => given.push(error),
      })
      for (let crash = 0; crash < 3; crash += 1) {
        await assert.rejects(here.ref('hopeless').ask(Fail, 'bug', { timeoutMs: 60_000 }), code('ACTOR_CRASHED'))
      }
      await eventually(() =>
        assert.deepEqual(
          given.map((error) => error.code),
          ['RESTARTS_EXHAUSTED'],
        ),
      )
      await supervisor.stop()
    })
  })
}
