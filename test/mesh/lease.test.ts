import assert from 'node:assert/strict'
import { platform, uptime } from 'node:os'
import { describe, it } from 'node:test'
import { Lease } from '../../mesh/lease.js'

describe('a lease of which a beat was taken 8 s ago', () => {
  const nodes = 4
  /** Beats, as [how many milliseconds ago it was sent, the revision that it got, how often each other was found to have written since the one before, and how many names were]; resolves to how often it lapsed. */
  function lapses(beats: [number, number, number[]?, number?][], isLeaderless: boolean): number {
    const lease = new Lease()
    let count = 0
    lease.onLapse(() => {
      count += 1
    })
    for (const [at, [ago, revision, written, names = 0]] of beats.entries()) {
      const others = written?.map((times) => ({ beats: times, times }))
      if (at === 1 && isLeaderless) lease.leaderless()
      const looked = others && { at: lease.now(), hangup: undefined, others, names }
      lease.renew(lease.now() - ago, revision, nodes, looked)
    }
    return count
  }
  const first: [number, number] = [8000, 10]

  it('has lapsed where the bucket took the beats of others meanwhile', () => {
    assert.equal(lapses([first, [0, 14]], false), 1)
  })

  it('has not where each of them wrote once, as after a time in which all stood still', () => {
    assert.equal(lapses([first, [0, 14, [1, 1, 1]]], false), 0)
    assert.equal(lapses([first, [0, 18, [1, 1, 1], 4]], false), 0)
  })

  it('has where one of them wrote on, or somebody who is not known', () => {
    assert.equal(lapses([first, [0, 14, [0, 3, 0]]], false), 1)
    assert.equal(lapses([first, [0, 16, [1, 1]]], false), 1)
  })

  it('has not where the bucket had no leader, and everybody comes in one rush', () => {
    assert.equal(lapses([first, [0, 16]], true), 0)
  })

  it('has not where a beat of before is answered in that rush, and then one of now', () => {
    assert.equal(lapses([first, [7000, 14], [0, 18]], true), 0)
  })

  it('has where the bucket had no leader, and then took the beats of the others for long', () => {
    assert.equal(lapses([first, [0, 10 + 1 + 2 * nodes + 1]], true), 1)
  })
})

describe('a lease on a machine that was asleep', () => {
  it('is over, and lets nothing be done that was begun before, though hardly any time has passed for this process', async () => {
    let asleep = 0
    const lease = new Lease(() => performance.now() + asleep)
    lease.renew(lease.now(), 10, 2)
    const fence = lease.fence()
    await fence()
    asleep = 3_600_000
    assert.ok(lease.isOver && lease.isLate)
    const at = lease.now()
    lease.renew(at, 3611, 2, { at, hangup: undefined, others: [{ beats: 3600, times: 3600 }] })
    await assert.rejects(fence(), { code: 'UNREACHABLE' })
  })

  it('is by the clock that goes on meanwhile', { skip: platform() !== 'linux' }, () => {
    assert.ok(Math.abs(new Lease().now() - uptime() * 1000) < 1000)
  })
})

describe('a lease whose beat comes late', () => {
  /** Resolves to how often it lapsed, and whether its node may begin something. */
  function found(hangup: number | undefined): [number, boolean] {
    const lease = new Lease()
    let lapses = 0
    lease.onLapse(() => {
      lapses += 1
    })
    const now = lease.now()
    lease.renew(now - 3000, 10, 4)
    assert.ok(lease.isLate)
    lease.renew(now - 2000, 12, 4, { at: now, hangup })
    return [lapses, !lease.isLate]
  }

  it('has lapsed where its node was hung up on since the beat before, and not where that was earlier, or never', () => {
    assert.deepEqual(
      [found(11), found(9), found(undefined)],
      [
        [1, true],
        [0, true],
        [0, true],
      ],
    )
  })
})
