import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Turns } from '../../sandbox/turns.js'
import { seededRandom, wholeBelow } from '../kit/random.js'

const live = new AbortController().signal

test('turns are given in order, and one who gives up takes none along', async () => {
  const turns = new Turns(1)
  const first = await turns.take(live)
  const order: string[] = []
  const gone = new AbortController()
  const second = turns.take(gone.signal).catch(() => order.push('gave up'))
  const third = turns.take(live).then((turn) => {
    order.push('third')
    return turn
  })
  gone.abort()
  await second
  first.end()
  ;(await third).end()
  assert.deepEqual(order, ['gave up', 'third'])
})

test('however those wait who are stepped aside for, never more than so many go on, and no turn is lost', async () => {
  const turns = new Turns(3)
  const random = seededRandom(5)
  let running = 0
  const pause = async () => {
    for (let left = wholeBelow(random, 4); left > 0; left -= 1) await setImmediate()
  }
  const work = async () => {
    const turn = await turns.take(live)
    running += 1
    assert.ok(running <= 3, `${running} at once`)
    await pause()
    running -= 1
    // Two questions of one action, at times of their own.
    await Promise.all([turn.aside(pause), pause().then(() => turn.aside(pause)), pause().then(() => turn.aside(pause))])
    turn.end()
  }
  await Promise.all(Array.from({ length: 200 }, work))
  const all = await Promise.all([turns.take(live), turns.take(live), turns.take(live)])
  let fourth = false
  const next = turns.take(live).then(() => {
    fourth = true
  })
  await setImmediate()
  assert.equal(fourth, false, 'nor is one won')
  for (const turn of all) turn.end()
  await next
})
