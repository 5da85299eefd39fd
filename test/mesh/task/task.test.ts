/** A task is done once, whoever does it and however often they are interrupted. The same promises over memory and over a real broker. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { addressesOf } from '../../../mesh/address.js'
import { mostBodyBytes, pieceBytes } from '../../../mesh/body.js'
import { encode } from '../../../mesh/codec.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { allowances } from '../../../mesh/task/task.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { MemoryBroker } from '../../../mesh/transport/memory.js'
import type { Bucket, Entry, Transport } from '../../../mesh/transport/transport.js'
import { ClawmeshError, type ErrorCode } from '../../../policies/errors.js'
import { natsMesh } from '../../kit/mesh.js'

const once = { result: z.string(), repeatable: false }
const freely = { result: z.string(), repeatable: true }
const coded = (code: string) => (error: unknown) => error instanceof ClawmeshError && error.code === code

interface Ground {
  open(by: string, wrap?: (bucket: Bucket) => Bucket, now?: () => number): Promise<Tasks>
  bucket(): Promise<Bucket>
  close(): Promise<void>
}

const grounds: Record<string, () => Promise<Ground>> = {
  memory: async () => {
    const authority = createAuthority()
    const broker = new MemoryBroker()
    return groundOn(
      authority,
      async () => broker.connect(),
      async () => undefined,
    )
  },
  NATS: async () => {
    const mesh = await natsMesh()
    // With no more rights on the broker than a node has that supervises.
    const supervisor = enrol(mesh.authority, { name: 'supervisor', roles: ['supervisor'] }, Date.now())
    return groundOn(
      mesh.authority,
      () => mesh.connect(supervisor),
      () => mesh.close(),
    )
  },
}

function groundOn(
  authority: ReturnType<typeof createAuthority>,
  connect: () => Promise<Transport>,
  end: () => Promise<void>,
): Ground {
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const open: Transport[] = []
  const join = async () => {
    const transport = await connect()
    open.push(transport)
    return transport
  }
  return {
    open: async (by, wrap = (bucket) => bucket, now = Date.now) => {
      const transport = await join()
      const bucket = async (name: string) => wrap(await transport.bucket(name))
      return openTasks({ transport: { ...transport, bucket }, addresses, key: authority.tasksKey, by, now })
    },
    bucket: async () => (await join()).bucket(addresses.tasks),
    close: async () => {
      for (const transport of open) await transport.close()
      await end()
    },
  }
}

/** A bucket that does as told with its writes. */
const tampered = (bucket: Bucket, swap: Bucket['swap']): Bucket => ({
  put: (key, value) => bucket.put(key, value),
  get: (key) => bucket.get(key),
  delete: (key) => bucket.delete(key),
  purge: (keys) => bucket.purge(keys),
  watch: (changed, keys) => bucket.watch(changed, keys),
  swap,
})

for (const [name, openGround] of Object.entries(grounds)) {
  describe(`tasks over ${name}`, () => {
    let ground: Ground
    let tasks: Tasks
    before(async () => {
      ground = await openGround()
      tasks = await ground.open('one')
    })
    after(() => ground.close())

    it('answer a step that is recorded from the journal, after a restart too', async () => {
      const task = await tasks.begin({ request: 'sum' })
      let runs = 0
      const run = async () => `run ${++runs}`
      assert.equal(await task.step('a', once, run), 'run 1')
      assert.equal(await task.step('a', once, run), 'run 1')
      const again = await (await ground.open('two')).resume(task.id)
      assert.deepEqual(again.facts, { request: 'sum' })
      assert.equal(await again.step('a', once, run), 'run 1')
      assert.equal(await again.step('b', once, run), 'run 2')
      await again.end({ ok: true })
      const info = (await tasks.list()).find(({ id }) => id === task.id)
      assert.deepEqual([info?.state, info?.by, info?.outcome], ['ended', 'one', { ok: true }])
      await assert.rejects(tasks.resume(task.id), coded('USAGE'))
    })

    it('say that a step is in doubt when its outcome was not recorded, and repeat only what may be repeated', async () => {
      const task = await tasks.begin({})
      const killed = new Error('the process died here')
      const dies = () => Promise.reject(killed)
      await assert.rejects(task.step('send', once, dies), killed)
      await assert.rejects(task.step('read', freely, dies), killed)
      const again = await (await ground.open('two')).resume(task.id)
      await assert.rejects(
        again.step('send', once, async () => 'sent'),
        coded('IN_DOUBT'),
      )
      assert.equal(await again.step('read', freely, async () => 'read'), 'read')
      assert.equal((await tasks.list()).find(({ id }) => id === task.id)?.state, 'in doubt')
      await again.settle('send', 'again', 'ada')
      assert.equal(await again.step('send', once, async () => 'sent'), 'sent')
    })

    it('take a person at their word about a step in doubt', async () => {
      const task = await tasks.begin({})
      await assert.rejects(task.step('pay', once, () => Promise.reject(new Error('gone'))))
      await task.settle('pay', { done: 'paid' }, 'ada')
      assert.equal(await task.step('pay', once, () => assert.fail('paid twice')), 'paid')
      await assert.rejects(task.settle('pay', 'again', 'ada'), coded('USAGE'))
    })

    it('record a failure that is final, and try one that may pass again', async () => {
      const task = await tasks.begin({})
      const denied = async () => Promise.reject(new ClawmeshError('DENIED', 'no', { hint: 'ask' }))
      await assert.rejects(task.step('final', once, denied), coded('DENIED'))
      const busy = async () => Promise.reject(new ClawmeshError('MODEL_BUSY', 'later'))
      await assert.rejects(task.step('passing', freely, busy), coded('MODEL_BUSY'))
      const again = await (await ground.open('two')).resume(task.id)
      await assert.rejects(
        again.step('final', once, async () => 'done'),
        coded('DENIED'),
      )
      assert.equal(await again.step('passing', freely, async () => 'done'), 'done')
    })

    it('fence off whoever did the task before: no step of theirs begins', async () => {
      const task = await tasks.begin({})
      const successor = await (await ground.open('two')).resume(task.id)
      await assert.rejects(
        task.step('effect', once, () => assert.fail('a zombie had an effect')),
        coded('FENCED'),
      )
      assert.equal(await successor.step('effect', once, async () => 'once'), 'once')
    })

    it('are done once by two who resume at once', async () => {
      const task = await tasks.begin({})
      let effects = 0
      const both = await Promise.allSettled(
        ['two', 'three'].map(async (by) => {
          const mine = await (await ground.open(by)).resume(task.id)
          return mine.step('effect', once, async () => {
            effects += 1
            return by
          })
        }),
      )
      const answers = both.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      const refused = both.flatMap((result) =>
        result.status === 'rejected' ? [ClawmeshError.from(result.reason).code] : [],
      )
      assert.equal(effects, 1)
      // The second to come finds it done, and is told the same; or is too late; or has come while it was being done, which then nobody can know.
      assert.ok(new Set(answers).size <= 1, answers.join())
      const ends = [[], ['FENCED'], ['FENCED', 'IN_DOUBT']]
      assert.deepEqual(refused.sort(), ends[refused.length])
    })

    it('write a record once when the answer of the broker is lost', async () => {
      let lost = 0
      const flaky = await ground.open('flaky', (bucket) =>
        tampered(bucket, async (key, value, revision) => {
          const written = await bucket.swap(key, value, revision)
          if (lost++ % 2 === 0) throw new ClawmeshError('BROKER_UNAVAILABLE', 'no answer came')
          return written
        }),
      )
      const task = await flaky.begin({})
      for (const step of ['a', 'b', 'c']) assert.equal(await task.step(step, once, async () => step), step)
      const info = (await tasks.list()).find(({ id }) => id === task.id)
      assert.deepEqual(
        info?.steps,
        ['a', 'b', 'c'].map((step) => ({ name: step, state: 'done' })),
      )
    })

    it('run steps side by side and record each', async () => {
      const task = await tasks.begin({})
      const steps = Array.from({ length: 40 }, (_, number) => `step ${number}`)
      assert.deepEqual(await Promise.all(steps.map((step) => task.step(step, once, async () => step))), steps)
      const info = (await tasks.list()).find(({ id }) => id === task.id)
      assert.equal(info?.steps.filter(({ state }) => state === 'done').length, 40)
    })

    it('see that a journal was changed, swapped or has a hole', async () => {
      const task = await tasks.begin({ secret: 'canary' })
      for (const step of ['a', 'b', 'c']) await task.step(step, once, async () => 'canary')
      const bucket = await ground.bucket()
      for (const { value } of await entriesOf(bucket)) assert.ok(!Buffer.from(value ?? []).includes('canary'))
      const mine = await newestJournal(bucket)
      const [, second, third] = mine
      assert.ok(second?.value && third?.value)
      for (const damage of [
        () =>
          bucket.put(second.key, second.value?.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) ?? new Uint8Array()),
        () => bucket.put(second.key, third.value ?? new Uint8Array()),
        () => bucket.delete(second.key),
      ]) {
        await damage()
        await assert.rejects(tasks.resume(task.id), coded('UNAUTHENTIC'))
        // The others can still be seen, and what is wrong with this one.
        const listed = await tasks.list()
        assert.equal(listed.filter(({ state }) => state === 'damaged').length, 1)
        assert.ok(listed.length > 1)
        await bucket.put(second.key, second.value)
      }
      const resumed = await tasks.resume(task.id)
      await assert.rejects(tasks.forget(task.id), coded('USAGE'))
      await resumed.end({ ok: true })
      await tasks.forget(task.id)
      assert.ok(!(await tasks.list()).some(({ id }) => id === task.id))
    })

    it('keep a large result beside the journal, sealed in pieces, and give it back whole or not at all', async () => {
      const large = { result: z.string(), repeatable: false }
      const text = 'canary '.repeat(100_000)
      const task = await tasks.begin({})
      assert.equal(await task.step('read', large, async () => text), text)
      const again = await (await ground.open('two')).resume(task.id)
      assert.equal(await again.step('read', large, () => assert.fail('it was done twice')), text)
      // Whoever was fenced off before its record was written leaves nothing behind.
      const writing = await (await ground.open('three')).resume(task.id)
      const late = writing.step('late', large, async () => {
        await (await ground.open('four')).resume(task.id)
        return text
      })
      await assert.rejects(late, coded('FENCED'))
      const bucket = await ground.bucket()
      const pieces = await entriesOf(bucket, 'body.*.*.*')
      assert.equal(pieces.length, Math.ceil(encode(text).length / pieceBytes))
      for (const { value = new Uint8Array() } of pieces)
        assert.ok(value.length < 300_000 && !Buffer.from(value).includes('canary'))
      const [first, second] = pieces.sort((a, b) => (a.key < b.key ? -1 : 1))
      assert.ok(first?.value && second?.value)
      for (const value of [second.value, first.value.map((byte, at) => (at === 99 ? byte ^ 1 : byte)), undefined]) {
        await (value ? bucket.put(first.key, value) : bucket.delete(first.key))
        await assert.rejects(tasks.resume(task.id), coded('UNAUTHENTIC'))
      }
      await bucket.put(first.key, first.value)
      await (await tasks.resume(task.id)).end({ ok: true })
      await tasks.forget(task.id)
      assert.deepEqual(await entriesOf(bucket, 'body.*.*.*'), [])
    })

    it('record that a result was too large to be kept, rather than leave its step in doubt', async () => {
      const task = await tasks.begin({})
      const huge = async () => 'x'.repeat(mostBodyBytes + 1)
      await assert.rejects(task.step('huge', once, huge), coded('MESSAGE_INVALID'))
      const again = await (await ground.open('two')).resume(task.id)
      await assert.rejects(
        again.step('huge', once, () => assert.fail('it was done twice')),
        coded('MESSAGE_INVALID'),
      )
      await assert.rejects(again.end('x'.repeat(allowances.outcome.most)), coded('MESSAGE_INVALID'))
      await tasks.remove(task.id, {})
    })

    it('keep what they are about and what they came to, however large, and show both', async () => {
      const [about, came] = [`about ${'x'.repeat(1_000_000)}`, `came to ${'y'.repeat(2_000_000)}`]
      const { id } = await tasks.begin({ about })
      const shown = async () => (await tasks.list()).find((task) => task.id === id)
      assert.deepEqual((await shown())?.facts, { about })
      const next = await (await ground.open('two')).resume(id)
      assert.deepEqual(next.facts, { about })
      await next.end(came)
      assert.equal((await shown())?.outcome, came)
      const told = []
      for await (const { record } of tasks.follow(id, -1, AbortSignal.timeout(5000))) told.push(record)
      assert.deepEqual(
        told.map((record) => (record.type === 'task' ? record.facts : record.type === 'ended' && record.outcome)),
        [{ about }, false, came],
      )
      const bucket = await ground.bucket()
      const [piece] = await entriesOf(bucket, 'body.*.*.*')
      await bucket.delete(piece?.key ?? assert.fail('it is not kept in pieces'))
      assert.deepEqual((await tasks.list()).filter(({ state }) => state === 'damaged').length, 1)
      await tasks.forget(id)
      assert.deepEqual(await entriesOf(bucket, 'body.*.*.*'), [])
    })

    it('is removed, whoever does it now, and also where a removal was cut short', async () => {
      const task = await tasks.begin({ of: 'ada' })
      await task.step('a', { result: z.null(), repeatable: true }, async () => null)
      await tasks.remove(task.id, { ok: false })
      assert.ok(!(await tasks.list()).some(({ id }) => id === task.id))
      // The bucket in memory keeps no place for what is gone.
      if (name === 'NATS')
        await assert.rejects(
          task.step('b', { result: z.null(), repeatable: true }, async () => null),
          coded('FENCED'),
        )
      const cut = await tasks.begin({ of: 'ada' })
      await cut.step('a', { result: z.null(), repeatable: true }, async () => null)
      await cut.end({ ok: true })
      const bucket = await ground.bucket()
      const newest = (await newestJournal(bucket)).at(-1) ?? assert.fail('it has no journal')
      await bucket.delete(newest.key)
      await tasks.remove(cut.id, { ok: false })
      assert.ok(!(await tasks.list()).some(({ id }) => id === cut.id))
    })

    it('hold a budget through a crash: what was set aside for a call that was cut off is spent, and of time no more than passed', async () => {
      const task = await tasks.begin({}, undefined, { budget: { tokens: 1000, money: 1, ms: 60_000 } })
      const first = await task.reserve('thought 1', { tokens: 300, money: 0.5, ms: 50_000 })
      await first.settle({ tokens: 100, money: 0.25, ms: 2000 })
      await (await task.reserve('thought 2', { tokens: 200 })).settle(null)
      assert.deepEqual(task.budget?.left, { tokens: 700, money: 0.75, ms: 58_000 })
      await task.reserve('thought 3', { tokens: 500, money: 0.5, ms: 50_000 })
      assert.deepEqual(task.budget?.left, { tokens: 200, money: 0.25, ms: 8000 })
      await assert.rejects(task.reserve('thought 4', { tokens: 201 }), coded('BUDGET_SPENT'))
      await assert.rejects(task.reserve('thought 4', { money: 0.3 }), coded('BUDGET_SPENT'))
      await task.reserve('thought 4', { tokens: 200 })
      const again = await (await ground.open('two')).resume(task.id)
      const { spent, reserved, left } = again.budget ?? assert.fail('it has none')
      assert.deepEqual([spent.tokens, spent.money, reserved], [1000, 0.75, {}])
      assert.ok((left.ms ?? 0) > 50_000 && (left.ms ?? 0) <= 58_000, String(left.ms))
      await assert.rejects(again.reserve('thought 5', { tokens: 1 }), coded('BUDGET_SPENT'))
      assert.deepEqual((await tasks.list()).find(({ id }) => id === task.id)?.budget, again.budget)
    })

    it('never give two calls of one moment more than there is', async () => {
      const task = await tasks.begin({}, undefined, { budget: { tokens: 100 } })
      const calls = await Promise.allSettled([1, 2, 3].map((n) => task.reserve(`call ${n}`, { tokens: 40 })))
      assert.deepEqual(
        calls.map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected'],
      )
    })

    it('take for a bill, and set aside, nothing that is no amount', async () => {
      const task = await tasks.begin({}, undefined, { budget: { tokens: 1000, money: 1 } })
      for (const amount of [Number.NaN, -1, Number.POSITIVE_INFINITY])
        await assert.rejects(task.reserve('nothing', { tokens: 1, money: amount }), coded('BUDGET_SPENT'))
      for (const amount of [Number.NaN, -1, Number.POSITIVE_INFINITY])
        await (await task.reserve('thought', { tokens: 100, money: 0.25 })).settle({ tokens: 1, money: amount })
      const again = await (await ground.open('two')).resume(task.id)
      assert.deepEqual(again.budget?.left, { tokens: 700, money: 0.25 })
    })

    it('carve the budget of a child from that of its parent, and give back what it did not use, also after the death of both', async () => {
      const parent = await tasks.begin({}, undefined, { budget: { tokens: 1000, ms: 1000 } })
      await assert.rejects(tasks.begin({}, undefined, { budget: { tokens: 1001 }, parent }), coded('BUDGET_SPENT'))
      const large = 'x'.repeat(9 << 20)
      await assert.rejects(tasks.begin(large, undefined, { budget: { tokens: 1 }, parent }), coded('MESSAGE_INVALID'))
      const child = await tasks.begin({}, undefined, { budget: { tokens: 400 }, parent })
      assert.deepEqual(
        [parent.budget?.left, child.budget?.left],
        [
          { tokens: 600, ms: 0 },
          { tokens: 400, ms: 1000 },
        ],
      )
      await assert.rejects(child.reserve('thought', { tokens: 401 }), coded('BUDGET_SPENT'))
      await (await child.reserve('thought', { tokens: 300 })).settle({ tokens: 150 })
      const other = await ground.open('two')
      const parentAgain = await other.resume(parent.id)
      assert.equal(parentAgain.budget?.left.tokens, 600)
      const childAgain = await other.resume(child.id, parentAgain)
      await (await childAgain.reserve('thought', { tokens: 50 })).settle({ tokens: 50 })
      await childAgain.end({ ok: true })
      assert.deepEqual(parentAgain.budget?.left, { tokens: 800, ms: 1000 })
      // One that ended when nobody was there to tell its parent.
      const orphan = await other.begin({}, undefined, { budget: { tokens: 500 }, parent: parentAgain })
      await (await orphan.reserve('thought', { tokens: 100 })).settle(null)
      const third = await ground.open('three')
      await (await third.resume(orphan.id)).end({ ok: true })
      const parentOfThird = await third.resume(parent.id)
      assert.equal(parentOfThird.budget?.left.tokens, 700)
      // What one took whose journal was removed meanwhile is not known. The bucket in memory keeps no place for what is gone.
      const gone = await third.begin({}, undefined, { budget: { tokens: 300 }, parent: parentOfThird })
      await (await gone.reserve('thought', { tokens: 100 })).settle(null)
      await tasks.remove(gone.id, { ok: false })
      assert.equal((await tasks.resume(parent.id)).budget?.left.tokens, name === 'memory' ? 700 : 400)
    })

    it('never give a child more money, or time, than its parent has', async () => {
      const until = Date.now() + 60_000
      const parent = await tasks.begin({}, undefined, { budget: { money: 1 }, until })
      await assert.rejects(tasks.begin({}, undefined, { budget: { money: 1.01 }, parent }), coded('BUDGET_SPENT'))
      const child = await tasks.begin({}, undefined, { budget: { money: 0.75 }, parent, until: until + 1000 })
      assert.deepEqual(
        [child.until, child.budget?.left, parent.budget?.left],
        [until, { money: 0.75 }, { money: 0.25 }],
      )
      await assert.rejects(parent.reserve('call', { money: 0.3 }), coded('BUDGET_SPENT'))
    })

    it('end at their instant, in whichever life: nothing is begun after it, and what is under way is cut off', async () => {
      let aheadMs = 0
      const now = () => Date.now() + aheadMs
      const life = (by: string) => ground.open(by, undefined, now)
      const until = Date.now() + 60_000
      const task = await tasks.begin({}, undefined, { until, budget: { money: 1 } })
      assert.equal(await task.step('early', once, async () => 'in time'), 'in time')
      const again = await (await life('two')).resume(task.id)
      aheadMs = 60_000 - 50
      const cut = again.inTime(
        new AbortController().signal,
        (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cut off')))),
      )
      await assert.rejects(cut, coded('BUDGET_SPENT'))
      assert.ok(now() >= until)
      const third = await (await life('three')).resume(task.id)
      const late = () => assert.fail('it was begun after its time')
      for (const begun of [
        third.step('late', once, late),
        third.reserve('call', {}),
        third.inTime(AbortSignal.abort(), late),
      ])
        await assert.rejects(begun, coded('BUDGET_SPENT'))
      assert.equal(await third.step('early', once, late), 'in time')
      await third.end({ ok: false })
      const info = (await tasks.list()).find(({ id }) => id === task.id)
      assert.deepEqual([info?.state, info?.until], ['ended', until])
    })

    it('do a step again that may be repeated, a few times and after longer and longer pauses, at what may pass', async () => {
      const failing = (...codes: ErrorCode[]) => {
        const runs: number[] = []
        const run = async (before: number) => {
          runs.push(before)
          const code = codes[before]
          if (code) throw new ClawmeshError(code, 'not now')
          return 'done'
        }
        return { runs, run }
      }
      const task = await tasks.begin({})
      const retried = { ...freely, repeatable: true, retries: { times: 2, firstMs: 20 } } as const
      const passing = failing('UNREACHABLE', 'DEADLINE')
      const begun = performance.now()
      assert.equal(await task.step('passing', retried, passing.run), 'done')
      assert.deepEqual(passing.runs, [0, 1, 2])
      assert.ok(performance.now() - begun >= 0.75 * (20 + 40))
      const lasting = failing('UNREACHABLE', 'UNREACHABLE', 'UNREACHABLE', 'UNREACHABLE')
      await assert.rejects(task.step('lasting', retried, lasting.run), coded('UNREACHABLE'))
      assert.deepEqual(lasting.runs, [0, 1, 2])
      const final = failing('DENIED')
      await assert.rejects(task.step('final', retried, final.run), coded('DENIED'))
      assert.deepEqual(final.runs, [0])
      const stop = new AbortController()
      const stopped = failing('UNREACHABLE', 'UNREACHABLE')
      const pausing = task.step(
        'stopped',
        { ...retried, retries: { times: 2, firstMs: 60_000, signal: stop.signal } },
        stopped.run,
      )
      setImmediate(() => stop.abort(new ClawmeshError('CANCELLED', 'enough')))
      await assert.rejects(pausing, (error) => coded('CANCELLED')(error) || coded('UNREACHABLE')(error))
      // What asks for retries and may not be repeated is done once all the same, and is in doubt.
      const once = failing('UNREACHABLE')
      await assert.rejects(
        task.step('effect', { ...retried, repeatable: false as true }, once.run),
        coded('UNREACHABLE'),
      )
      assert.deepEqual(once.runs, [0])
      await assert.rejects(task.step('effect', { result: z.string(), repeatable: false }, once.run), coded('IN_DOUBT'))
      const again = await (await ground.open('two')).resume(task.id)
      assert.equal(await again.step('lasting', freely, async () => 'done'), 'done')
      await assert.rejects(again.step('effect', { result: z.string(), repeatable: false }, once.run), coded('IN_DOUBT'))
    })

    async function entriesOf(bucket: Bucket, keys?: string): Promise<Entry[]> {
      const entries: Entry[] = []
      ;(await bucket.watch((entry) => entries.push(entry), keys)).unsubscribe()
      return entries.filter(({ value }) => value)
    }

    /** The entries of the newest journal, in order. */
    async function newestJournal(bucket: Bucket): Promise<Entry[]> {
      const entries = await entriesOf(bucket)
      const newest = entries.sort((a, b) => b.revision - a.revision)[0]
      const place = newest?.key.split('.')[0] ?? ''
      return entries
        .filter(({ key }) => key.startsWith(`${place}.`))
        .sort((a, b) => Number(a.key.split('.')[1]) - Number(b.key.split('.')[1]))
    }
  })
}
