import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { installation } from '../../../mesh/installation.js'
import { givenOffer } from '../../../nodes/cli/offer-options.js'
import { readConfig } from '../../../nodes/config.js'
import { keepOffer, planOffer, recallOffer } from '../../../nodes/member/offer.js'
import { planInference } from '../../../nodes/process/plan.js'
import { temporaryFolder } from '../../kit/mesh.js'

it('what a machine offers is remembered, but for the name of shared files where they are others now, or are shared no longer', () => {
  const data = temporaryFolder()
  try {
    const say = (given: Parameters<typeof recallOffer>[1]) => {
      const offer = recallOffer(data, given)
      keepOffer(data, offer)
      return [offer.workspace, offer.shared]
    }
    assert.deepEqual(say({ workspace: '/a', shared: 'none' }), ['/a', undefined])
    assert.deepEqual(say({ shared: 'ledger' }), ['/a', 'ledger'])
    assert.deepEqual(say({}), ['/a', 'ledger'])
    assert.deepEqual(say({ workspace: '/a' }), ['/a', 'ledger'])
    assert.deepEqual(say({ workspace: '/b' }), ['/b', undefined])
    assert.deepEqual(say({ workspace: '/c', shared: 'notes' }), ['/c', 'notes'])
    assert.deepEqual(say({ shared: 'none' }), ['/c', undefined])
    assert.deepEqual(say({}), ['/c', undefined])
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})

it('a file of MCP servers that is remembered and gone is told with where its name comes from, and is forgotten on `--mcp none`', async () => {
  const data = temporaryFolder()
  try {
    const [mcp, workspace] = [join(data, 'gone.yaml'), join(data, 'workspace')]
    mkdirSync(workspace)
    const plan = (offer: ReturnType<typeof recallOffer>) =>
      planOffer(offer, join(data, 'mesh'), planInference({ model: 'shipped' }, readConfig()))
    mkdirSync(join(data, 'mesh'))
    const recall = (given: Parameters<typeof givenOffer>[0]) => recallOffer(join(data, 'mesh'), givenOffer(given))
    const first = recall({ workspace, mcp })
    await assert.rejects(plan(first), ({ hint }) => !/remembers/.test(hint))
    keepOffer(join(data, 'mesh'), first)
    await assert.rejects(plan(recall({})), ({ code, message, hint }) => {
      assert.deepEqual([code, message.includes(mcp)], ['USAGE', true])
      assert.match(hint, /offer\.json remembers the file from an earlier start: .*--mcp none ends it\.$/)
      return true
    })
    const ended = recall({ mcp: 'none' })
    assert.equal(ended.mcp, undefined)
    assert.deepEqual((await plan(ended)).plan.mcp, undefined)
    keepOffer(join(data, 'mesh'), ended)
    assert.equal(recall({}).mcp, undefined)
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})

it('a model is what is found, the shipped one, a server or a folder of one, and a word that is none of these is refused before it is remembered', () => {
  const [config, data] = [readConfig(), temporaryFolder()]
  try {
    const planned = (model: string | undefined, modelUrl?: string) => {
      const { probe, ...named } = planInference({ model }, { ...config, modelUrl })
      return [probe, named.modelUrl ?? named.folder]
    }
    const shipped = join(installation, 'inference', 'shipped', 'model')
    assert.deepEqual(planned(undefined), [true, undefined])
    assert.deepEqual(planned('auto', 'http://127.0.0.1:1'), [true, undefined])
    assert.deepEqual(planned('shipped'), [false, undefined])
    assert.deepEqual(planned(undefined, 'shipped'), [false, undefined])
    assert.deepEqual(planned('grpc://127.0.0.1:1/a'), [false, 'grpc://127.0.0.1:1/a'])
    assert.deepEqual(planned(shipped), [false, shipped])
    const gone = join(data, 'gone')
    assert.throws(() => planned(gone), { code: 'USAGE', message: `There is no model folder ${gone}.` })
    assert.equal(givenOffer({ model: 'auto' }).model, 'auto')
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})
