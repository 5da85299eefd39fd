import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addressesOf } from '../../mesh/address.js'
import { Directory } from '../../mesh/directory.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { beginIncarnation } from '../../mesh/seal/incarnation.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { Bucket, Entry } from '../../mesh/transport/transport.js'

/** A bucket whose watches tell what has changed only when they are let: a broker answers and tells on two ways. */
function slow(bucket: Bucket) {
  const late: Entry[] = []
  let tell: (entry: Entry) => void = () => undefined
  const watch: Bucket['watch'] = (changed) => {
    tell = changed
    return bucket.watch((entry) => late.push(entry))
  }
  return {
    bucket: { ...forward(bucket), watch },
    /** Tells of what has changed, up to the first entry that `isLast` holds for. */
    catchUp: async (isLast: (entry: Entry) => boolean = () => false) => {
      await new Promise(setImmediate)
      const last = late.findIndex(isLast)
      for (const entry of late.splice(0, last < 0 ? late.length : last + 1)) tell(entry)
    },
  }
}

const forward = (bucket: Bucket): Bucket => ({
  put: (key, value) => bucket.put(key, value),
  swap: (key, value, revision) => bucket.swap(key, value, revision),
  get: (key) => bucket.get(key),
  delete: (key, revision) => bucket.delete(key, revision),
  purge: (keys) => bucket.purge(keys),
  watch: (changed, keys) => bucket.watch(changed, keys),
})

async function twoViews() {
  const authority = createAuthority()
  const broker = new MemoryBroker()
  const view = async (name: string) => {
    const credentials = enrol(authority, { name, roles: ['worker'] }, Date.now())
    const addresses = addressesOf(credentials.mesh, credentials.meshKey)
    const { bucket, catchUp } = slow(await broker.connect().bucket(addresses.directory))
    const { meshKey, rootKey } = credentials
    const self = beginIncarnation(credentials)
    const directory = new Directory({ bucket, addresses, meshKey, rootKey, self, now: Date.now })
    await directory.start({})
    return { directory, catchUp, id: self.id, bucket, key: addresses.nodeKey(name) }
  }
  return { here: await view('here'), there: await view('there') }
}

describe('a directory whose watch lags behind', () => {
  it('keeps a name that was released and taken again, when it hears of the release at last', async () => {
    const { here, there } = await twoViews()
    await here.directory.claim('actor')
    await here.directory.release('actor')
    await here.directory.claim('actor')
    await here.catchUp(({ value }) => value === undefined)
    assert.equal(here.directory.locate('actor')?.id, here.id)
    here.directory.leave()
    there.directory.leave()
  })

  it('does not release what another node has taken meanwhile', async () => {
    const { here, there } = await twoViews()
    await here.directory.claim('actor')
    // It does not know of the node that has the name, which is as good as dead to it.
    await there.directory.claim('actor')
    await here.directory.release('actor')
    await Promise.all([here.catchUp(), there.catchUp()])
    assert.equal(here.directory.locate('actor')?.id, there.id)
    assert.equal(there.directory.locate('actor')?.id, there.id)
    here.directory.leave()
    there.directory.leave()
  })
})

describe('a node that is gone', () => {
  for (const [how, left] of [
    ['by its own word', true],
    ['because its entry was taken away', false],
  ] as const)
    it(`${how}, is told to have ${left ? 'left' : 'been lost'}`, async () => {
      const { here, there } = await twoViews()
      await here.catchUp()
      const gone: [string, boolean][] = []
      here.directory.onLost(({ name }, hasLeft) => gone.push([name, hasLeft]))
      if (left) await there.directory.stop()
      else await there.bucket.delete(there.key)
      await here.catchUp()
      assert.deepEqual(gone, [['there', left]])
      here.directory.leave()
      there.directory.leave()
    })
})

it('what a node says of itself from several sides at once is all kept', async () => {
  const { here, there } = await twoViews()
  here.directory.mention({ load: 1 })
  await Promise.all([here.directory.describe({ policy: 2 }), here.directory.describe({ offers: 3 })])
  assert.deepEqual(here.directory.node('here')?.advert, { load: 1, policy: 2, offers: 3 })
  here.directory.leave()
  there.directory.leave()
})
