/** Authority that is passed on: what a grant is good for, and every way in which it is not. Each refusal is on the audit trail. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { attenuate, type Grant, type GrantWire, mint } from '../../../mesh/capability/grant.js'
import { Grants } from '../../../mesh/capability/grants.js'
import { actor, type MeshNode, message, nothing, on, type Terms, type Wanted } from '../../../mesh/index.js'
import { type Credentials, enrol } from '../../../mesh/seal/credentials.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Role } from '../../../policies/roles.js'
import { auditEvents } from '../../kit/events.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../../kit/mesh.js'

const Work = message('test.work', { request: nothing, reply: nothing, from: ['supervisor', 'worker'] })
const Touch = message('test.touch', {
  request: z.object({ what: z.string(), tokens: z.number().optional(), bill: z.number().optional() }),
  reply: z.string(),
  from: ['supervisor'],
  granted: { roles: ['worker'], use: ({ what, tokens = 0 }) => ({ can: 'touch', on: what, tokens }) },
})

const vault = actor('vault', () => [
  on(Touch, ({ what, bill }, context) => {
    if (bill !== undefined) context.bill(bill)
    return `touched ${what}`
  }),
])

describe('a grant', () => {
  let mesh: TestMesh
  let now = 0
  const nodes: Record<string, MeshNode> = {}
  const credentials: Record<string, Credentials> = {}
  /** What each worker was given last. */
  const held: Record<string, Grant> = {}

  before(async () => {
    mesh = await memoryMesh()
    const members: Record<string, Role> = { boss: 'supervisor', hand: 'worker', other: 'worker', box: 'sandbox' }
    for (const [name, role] of Object.entries(members)) {
      const made = enrol(mesh.authority, { name, roles: [role] }, Date.now())
      credentials[name] = made
      // Only the clock of the one who checks is moved.
      const clock = name === 'box' ? { now: () => Date.now() + now } : {}
      const node = await mesh.join(name, { credentials: made, ...clock })
      nodes[name] = node
      const keeps = actor(`keeper-${name}`, () => [
        on(Work, (_, { grant }) => {
          if (grant) held[name] = grant
          return null
        }),
      ])
      await node.spawn(keeps)
    }
    await nodes['box']?.spawn(vault)
  })
  after(() => mesh.close())

  const node = (name: string): MeshNode => nodes[name] ?? assert.fail(name)
  const grantOf = (name: string): Grant => held[name] ?? assert.fail(`${name} was given nothing`)
  const signing = (name: string) => credentials[name]?.signing ?? assert.fail(name)
  async function give(from: string, to: string, wanted: Wanted, grant?: Grant): Promise<Grant> {
    await node(from).ref(`keeper-${to}`).ask(Work, null, { entrust: wanted, grant })
    return grantOf(to)
  }
  const touch = (name: string, what: string, grant?: Grant, more: { tokens?: number; bill?: number } = {}) =>
    node(name)
      .ref('vault')
      .ask(Touch, { what, ...more }, { grant })
  const may = (on: string[], limits: { times?: number; tokens?: number } = {}): Wanted => ({
    may: { touch: { on, ...limits } },
  })

  /** What the audit trail must say in the end: refusals stand there within a second. */
  const expected: [string, RegExp][] = []
  async function refused(attempt: Promise<unknown>, code: string, reason: RegExp): Promise<void> {
    await assert.rejects(attempt, (error) => {
      assert.ok(error instanceof ClawmeshError)
      assert.deepEqual([error.code, reason.test(error.message)], [code, true], error.message)
      return true
    })
    expected.push([code, reason])
  }

  /** What a holder makes who keeps to no rules: the link that it wants, under its own signature. */
  const crafted = (grant: Grant, wire: GrantWire): Grant => ({ ...grant, wire })
  const given = (to: string, terms: Terms) => ({
    holder: node(to).self.certificate.holder,
    actor: 'keeper',
    terms,
  })

  it('lets a worker do what a supervisor lets it, and its first use is on the trail, once', async () => {
    const grant = await give('boss', 'hand', may(['red', 'blue/*']))
    assert.equal(await touch('hand', 'red', grant), 'touched red')
    assert.equal(await touch('hand', 'blue/deep', grant), 'touched blue/deep')
    await eventually(async () => {
      const uses = (await auditEvents(mesh)).filter(({ kind }) => kind === 'grant.used')
      assert.deepEqual(
        uses.map(({ facts }) => [facts['grant'], facts['begins'], facts['by']]),
        [[grant.id, 'boss', 'hand']],
      )
    })
    await refused(touch('hand', 'green', grant), 'DENIED', /does not allow to touch on green, only on red, blue/)
  })

  it('is recorded at its first use as being about whom the task is about, though nothing of the task came there before', async () => {
    node('hand').file('of ada', mesh.authority.subjects.keyOf('ada'))
    const grant = await give('boss', 'hand', may(['a']))
    await node('hand').ref('vault').ask(Touch, { what: 'a' }, { grant, trace: 'of ada' })
    const used = await eventually(async () => {
      const events = await auditEvents(mesh)
      return events.find(({ kind, trace }) => kind === 'grant.used' && trace === 'of ada') ?? assert.fail('not yet')
    })
    assert.ok('subject' in used)
  })

  it('is needed by whoever has no right of its own, and by nobody else', async () => {
    assert.equal(await touch('boss', 'red'), 'touched red')
    await refused(touch('hand', 'red'), 'DENIED', /"hand" may send test.touch only under a grant of supervisor/)
  })

  it('begins with somebody who has the right', async () => {
    const own = await give('other', 'hand', may(['*']))
    await refused(touch('hand', 'red', own), 'DENIED', /begins with node "other", which is worker/)
  })

  it('ends', async () => {
    const grant = await give('boss', 'hand', may(['red']))
    now = 11_000
    const ask = (timeoutMs: number) => node('hand').ref('vault').ask(Touch, { what: 'red' }, { grant, timeoutMs })
    try {
      await refused(ask(30_000), 'DENIED', /ended at/)
      // Both are over: the call would have been late without it.
      await refused(ask(10_000), 'DEADLINE', /ended at/)
    } finally {
      now = 0
    }
    assert.equal(await touch('hand', 'red', grant), 'touched red')
  })

  it('is of use to nobody else', async () => {
    const grant = await give('boss', 'hand', may(['red']))
    await refused(touch('other', 'red', grant), 'UNAUTHENTIC', /given to another node than showed it/)
    const stolen = crafted(grant, attenuate(grant, signing('other'), given('other', grant.terms)))
    await refused(touch('other', 'red', stolen), 'UNAUTHENTIC', /passed on by somebody to whom it was not given/)
  })

  it('is passed on narrower, and not wider', async () => {
    const grant = await give('boss', 'hand', may(['red', 'blue/*'], { times: 5 }))
    const part = await give('hand', 'other', may(['blue/deep']), grant)
    assert.equal(await touch('other', 'blue/deep', part), 'touched blue/deep')
    await refused(touch('other', 'red', part), 'DENIED', /does not allow to touch on red/)
    await assert.rejects(give('hand', 'other', may(['green']), grant), {
      code: 'DENIED',
      message: /more than there is/,
    })
    const { until } = grant.terms
    const wider: [Terms, RegExp][] = [
      [{ may: { touch: { on: ['*'], times: 5 } }, until }, /does not allow to touch on \*/],
      [{ may: { touch: { on: ['red'] } }, until }, /allows to touch 5 times/],
      [{ may: { touch: { on: ['red'], times: 6 } }, until }, /allows to touch 5 times/],
      [{ may: { touch: { on: ['red'], times: 5 } }, until: until + 1 }, /would last until/],
      [{ may: { touch: { on: ['red'], times: 5 }, think: { on: ['*'] } }, until }, /does not allow to think/],
    ]
    for (const [terms, reason] of wider) {
      const wire = attenuate(grant, signing('hand'), given('other', terms))
      await refused(touch('other', 'red', crafted(grant, wire)), 'DENIED', reason)
    }
  })

  it('cannot be forged', async () => {
    const grant = await give('boss', 'hand', may(['red']))
    const all = given('hand', { ...grant.terms, may: { touch: { on: ['*'] } } })
    const { certificate } = node('boss').self
    const forged = mint({ certificate, signing: signing('hand') }, all)
    await refused(touch('hand', 'blue', crafted(grant, forged)), 'UNAUTHENTIC', /its giver did not sign/)
    const [[body, signature] = assert.fail()] = grant.wire
    for (const at of [0, body.length >> 1, body.length - 1]) {
      const changed = body.map((byte, index) => (index === at ? byte ^ 1 : byte))
      await assert.rejects(touch('hand', 'red', crafted(grant, [[changed, signature]])))
    }
    const part = await give('hand', 'other', may(['red']), grant)
    const torn = part.wire.slice(1)
    await assert.rejects(touch('other', 'red', crafted(part, torn)), { code: 'UNAUTHENTIC' })
  })

  it('is good so often, however many it is passed on to', async () => {
    const grant = await give('boss', 'hand', may(['red'], { times: 3 }))
    const part = await give('hand', 'other', may(['red']), grant)
    await touch('hand', 'red', grant)
    await touch('other', 'red', part)
    const again = await give('hand', 'other', may(['red']), grant)
    await touch('other', 'red', again)
    await refused(touch('other', 'red', again), 'DENIED', /was used 3 times already/)
    await refused(touch('hand', 'red', grant), 'DENIED', /was used 3 times already/)
  })

  it('costs what is billed, and all that was set aside where nothing is', async () => {
    const grant = await give('boss', 'hand', may(['red'], { tokens: 100 }))
    await refused(touch('hand', 'red', grant, { tokens: 101 }), 'DENIED', /100 of 100 tokens left, and 101/)
    await touch('hand', 'red', grant, { tokens: 100, bill: 30 })
    await touch('hand', 'red', grant, { tokens: 70 })
    await refused(touch('hand', 'red', grant, { tokens: 1 }), 'DENIED', /0 of 100 tokens left/)
  })

  it('may be for one run of a node alone', async () => {
    const elsewhere = await give('boss', 'hand', { ...may(['red']), at: node('other').self.id })
    await refused(touch('hand', 'red', elsewhere), 'DENIED', /at another run/)
    const here = await give('boss', 'hand', { ...may(['red']), at: node('box').self.id })
    assert.equal(await touch('hand', 'red', here), 'touched red')
  })

  it('is taken only from whoever gives it, and only by the one to whom it is given', async () => {
    const grant = await give('boss', 'hand', may(['red']))
    // What is not its own, boss passes on all the same.
    await refused(give('boss', 'other', may(['red']), grant), 'UNAUTHENTIC', /passed on by somebody to whom/)
    const other = new Grants({
      self: node('other').self,
      signing: signing('other'),
      rootKey: mesh.authority.root.publicKey,
      isRevoked: (holder) => holder === node('hand').self.certificate.holder,
      record: async () => undefined,
      now: Date.now,
    })
    const accept = (wire: GrantWire, from: string) => () => other.accept(wire, node(from).self)
    const { certificate } = node('boss').self
    const forOther = mint({ certificate, signing: signing('boss') }, given('other', grant.terms))
    assert.doesNotThrow(accept(forOther, 'boss'))
    assert.throws(accept(forOther, 'hand'), { code: 'UNAUTHENTIC', message: /given by another node/ })
    assert.throws(accept(grant.wire, 'boss'), { code: 'UNAUTHENTIC', message: /meant for another node/ })
    const throughRevoked = attenuate(grant, signing('hand'), given('other', grant.terms))
    assert.throws(accept(throughRevoked, 'hand'), { code: 'UNAUTHENTIC', message: /was revoked/ })
  })

  it('has each refusal on the trail', async () => {
    assert.ok(expected.length > 15)
    await eventually(async () => {
      const events = await auditEvents(mesh)
      const denied = events.flatMap(({ kind, facts }) => (kind === 'message.denied' ? [facts] : []))
      for (const [code, reason] of expected)
        assert.ok(
          denied.some((facts) => facts['code'] === code && reason.test(String(facts['reason']))),
          `${code} ${reason} is not on the trail`,
        )
    })
  })
})
