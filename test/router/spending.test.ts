/** Budgets of the rules: a ledger on a real disk, a router that asks a provider on this machine, and questions that come all at once. */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { ClawmeshError } from '../../policies/errors.js'
import { parseRouterRules } from '../../policies/router.js'
import { Spending } from '../../router/egress/spending.js'
import { temporaryFolder } from '../kit/mesh.js'
import { streamChunks } from './cloud.js'
import { asker, asking, collected, destination, openStand, type Stand, shipped } from './kit.js'

/** Each answer takes a whole one of the currency for each token that it may have, and the prompt nothing. */
const rulesWith = (budgets: string, when: string, price = 'cloud/large') =>
  parseRouterRules(
    shipped
      .replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]')
      .replace('\nbudgets: []', `\nbudgets: ${budgets}`)
      .replace(/^tagger: .*$/m, 'tagger: { kinds: [] }')
      .replace(/^order: \{\}$/m, `order: { prices: [{ model: ${price}, upTo: hard, input: 0, output: 1000000 }] }`)
      .replace(/(- name: the-rest-may-leave\n\s+when: )\{\}/, `$1${when}`),
  )
const ofDay = rulesWith('[{ name: day, limit: 10, per: day }]', '{ within: [day] }')
const noon = Date.UTC(2026, 10, 29, 12)
const dayMs = 24 * 3_600_000
const oneToken = { ...asking('What is the capital of Portugal?'), maxTokens: 1 }

describe('what models elsewhere may take', () => {
  let folder: string
  let path: string
  let now: number
  let stand: Stand
  const stands: Stand[] = []
  beforeEach(async () => {
    folder = temporaryFolder()
    path = join(folder, 'spending.jsonl')
    now = noon
    stand = await standWith(ofDay)
  })
  afterEach(async () => {
    for (const each of stands.splice(0)) await each.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** As after a restart: what was spent is known from the disk alone. */
  const standWith = async (rules = ofDay) => {
    let ledger: Spending | undefined
    const opened = await openStand(rules, {
      spending: () => {
        ledger ??= Spending.open(path, () => now)
        return ledger
      },
    })
    stands.push(opened)
    return opened
  }
  const ask = ({ router }: Stand, trace = 'task-1') =>
    collected(router.ask(router.open(trace), oneToken, { ...asker, trace }, destination))
  const isSpent = (asked: Promise<unknown>) =>
    assert.rejects(asked, (error: ClawmeshError) => error.code === 'DENIED' && error.data['spent'] === 'day')
  const isRefused = (asked: Promise<unknown>, message: RegExp) => assert.rejects(asked, { code: 'DENIED', message })

  it('is not taken twice by fifty questions at once, nor anew after a restart, and is whole again the next day', async () => {
    const waiting: ServerResponse[] = []
    stand.cloud.answer = (_, response) => void waiting.push(response)
    let refused = 0
    const asked = Array.from({ length: 50 }, () =>
      isSpent(ask(stand)).then(
        () => {
          refused += 1
        },
        () => 'answered',
      ),
    )
    while (refused + waiting.length < 50) await new Promise(setImmediate)
    for (const response of waiting) streamChunks(response, ['ok'])
    await Promise.all(asked)
    assert.deepEqual([refused, stand.cloud.sent.length], [40, 10])
    await isSpent(ask(stand))

    const restarted = await standWith()
    await isSpent(ask(restarted))
    assert.equal(restarted.cloud.sent.length, 0)
    now += dayMs
    assert.equal(await ask(restarted), 'ok')
    // A clock that is set back finds what was spent then.
    now -= dayMs
    await isSpent(ask(restarted))
  })

  it('is what the provider counts, once it has', async () => {
    const usage = JSON.stringify({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 0 } })
    stand.cloud.answer = (_, response) => {
      response.writeHead(200)
      response.end(`data: ${usage}\n\ndata: [DONE]\n\n`)
    }
    for (let count = 0; count < 12; count += 1) await ask(stand)
    assert.equal(Spending.look(path, () => now).leftFor(ofDay, question)[0]?.taken, 0)
  })
  const question = { model: 'cloud/large', trace: 'task-1', bytes: 100, maxTokens: 1 }
  const taken = () => Spending.look(path, () => now).leftFor(ofDay, question)[0]?.taken

  it('stays taken where an answer breaks off, and does not where no model was asked', async () => {
    stand.cloud.answer = (_, response) => response.writeHead(429).end()
    await assert.rejects(ask(stand), { code: 'MODEL_BUSY' })
    stand.trail.failing = 'intend'
    await isRefused(ask(stand), /could not be cleared/)
    stand.trail.failing = undefined
    assert.equal(taken(), 0)
    stand.cloud.answer = (_, response) => {
      response.writeHead(200)
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`)
      response.destroy()
    }
    await assert.rejects(ask(stand), { code: 'MODEL_BUSY' })
    assert.equal(taken(), 1e9)
    // Behind a gateway that waited in vain a model has answered all the same.
    stand.cloud.answer = (_, response) => response.writeHead(504).end()
    await assert.rejects(ask(stand), { code: 'MODEL_BUSY' })
    assert.equal(taken(), 2e9)
    stand.cloud.answer = (_, response) => response.writeHead(503).end()
    await assert.rejects(ask(stand), { code: 'MODEL_BUSY' })
    assert.equal(taken(), 2e9)
  })

  it('is not what was counted before the last word', async () => {
    const usage = { choices: [], usage: { prompt_tokens: 9, completion_tokens: 0 } }
    const word = { choices: [{ delta: { content: 'ok' } }] }
    stand.cloud.answer = (_, response) => {
      response.writeHead(200)
      for (const chunk of [usage, word]) response.write(`data: ${JSON.stringify(chunk)}\n\n`)
      response.end('data: [DONE]\n\n')
    }
    assert.equal(await ask(stand), 'ok')
    assert.equal(taken(), 1e9)
  })

  it('is not forgotten by a clock that was wrong for a while', async () => {
    await ask(stand)
    now += 100 * dayMs
    Spending.open(path, () => now)
    now -= 100 * dayMs
    assert.equal(taken(), 1e9)
  })

  it('is counted for each task by itself where the rules say so', async () => {
    const each = await standWith(rulesWith('[{ name: day, limit: 1, per: task }]', '{ within: [day] }'))
    await ask(each, 'one')
    await isSpent(ask(each, 'one'))
    await ask(each, 'two')
  })

  it('is as if it were spent for an answer longer than any, which leaves no other trace in the ledger', async () => {
    const ledger = Spending.open(path, () => now)
    const endless = Array.from({ length: 70 }, () =>
      ledger.reserve(ofDay, { ...question, maxTokens: Number.MAX_SAFE_INTEGER }),
    )
    assert.ok(endless.every(({ spent }) => spent.includes('day')))
    assert.ok((taken() ?? 0) > Number.MAX_SAFE_INTEGER)
    for (const each of endless) each.release()
    assert.equal(taken(), 0)
  })

  it('is as if it were spent for a model without a price', async () => {
    const unpriced = await standWith(rulesWith('[{ name: day, limit: 10, per: day }]', '{ within: [day] }', 'mesh'))
    await isSpent(ask(unpriced))
  })

  it('lets nothing leave where the ledger cannot be read, and is a ledger again once it can', async () => {
    await ask(stand)
    const whole = readFileSync(path, 'utf8')
    for (const broken of ['', 'nonsense\n', whole.replace('"taken":', '"taken":-'), `${whole}{}\n`]) {
      writeFileSync(path, broken)
      await isRefused(ask(await standWith()), /what was spent could not be read/)
    }
    // What a crash has cut off in the middle was never acknowledged.
    writeFileSync(path, `${whole}{"at":17`)
    const again = await standWith()
    await ask(again)
    assert.equal(taken(), 2e9)
    appendFileSync(path, '{"at":')
    await ask(again)
    assert.equal(taken(), 3e9)
  })

  it('lets nothing leave where the ledger is taken away or cut off meanwhile', async () => {
    await ask(stand)
    writeFileSync(path, '')
    await isRefused(ask(stand), /what was spent could not be written/)
    rmSync(path)
    await isRefused(ask(stand), /what was spent could not be written/)
    assert.equal(stand.cloud.sent.length, 1)
  })

  it('lets nothing leave where nobody counts', async () => {
    const uncounted = await openStand(ofDay)
    stands.push(uncounted)
    await isRefused(ask(uncounted), /nobody here counts/)
    assert.equal(uncounted.cloud.sent.length, 0)
  })
})
