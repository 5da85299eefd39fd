/** A use that asks its caller, where the caller comes back with the answer in another request. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { inputRequired } from '@modelcontextprotocol/server'
import { Talks } from '../../../../nodes/gateway/mcp/talk.js'

const question = inputRequired.elicit({
  message: '?',
  mode: 'form',
  requestedSchema: { type: 'object', properties: {} },
})
const anna = { key: 'anna', about: 'lend' }
const stays = AbortSignal.any([])

it('a use goes on for the key that began it, with what it was begun for, and for nobody else', async () => {
  const talks = new Talks()
  const turn = await talks.begin(anna, 60_000, stays, (ask) => ask(question)).next(stays)
  assert.ok('asks' in turn)
  assert.equal(talks.of(turn.state, { ...anna, key: 'bert' }), undefined)
  assert.equal(talks.of(turn.state, { ...anna, about: 'sell' }), undefined)
  assert.deepEqual(await talks.of(turn.state, anna)?.answered('yes').next(stays), { done: 'yes' })
  assert.equal(talks.of(turn.state, anna), undefined)
})

it('an answer that comes twice is none to the next question', async () => {
  const talks = new Talks()
  const turn = await talks
    .begin(anna, 60_000, stays, async (ask) => [await ask(question), await ask(question)])
    .next(stays)
  assert.ok('asks' in turn)
  const next = await talks.of(turn.state, anna)?.answered('yes').next(stays)
  assert.ok(next && 'asks' in next)
  assert.equal(talks.of(turn.state, anna), undefined)
  assert.deepEqual(await talks.of(next.state, anna)?.answered('no').next(stays), { done: ['yes', 'no'] })
})

it('a use that nobody comes back to ends at its deadline, and the next ones are let in again', async () => {
  const talks = new Talks()
  const begun = Array.from({ length: 32 }, () => talks.begin(anna, 50, stays, (ask) => ask(question)))
  assert.throws(() => talks.begin(anna, 50, stays, (ask) => ask(question)), /32 uses under way already/)
  await Promise.all(begun.map(({ ended }) => ended))
  assert.ok(talks.begin(anna, 50, stays, async () => 1))
})
