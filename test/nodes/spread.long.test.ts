/** The main job on a mesh of two machines: agents are spread over both, parts of the job run on the one that joined, and the answer is the right one. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { supervise } from '../../mesh/index.js'
import { installation } from '../../mesh/installation.js'
import { runJob } from '../../nodes/agents/job/job.js'
import { readConfig } from '../../nodes/config.js'
import { openDataFolder } from '../../nodes/data-folder.js'
import { planOffer } from '../../nodes/member/offer.js'
import { startSite } from '../../nodes/site.js'
import { listFiles } from '../../nodes/workspace.js'
import { workspaceId } from '../../sandbox/workspace.js'
import { ledgerTruth } from '../examples/ledger-truth.js'
import { eventually } from '../kit/eventually.js'
import { Machine } from './machine.js'

describe('the main job on two machines', () => {
  const [home, guest] = [new Machine(), new Machine()]
  after(async () => {
    await guest.remove()
    await home.remove()
  })

  it('is done by agents on both, and goes on when the one that joined is unplugged', async () => {
    const workspace = join(installation, 'examples', 'ledger', 'workspace')
    const config = readConfig()
    const folder = openDataFolder(home.data)
    const offer = { workspace, policy: 'ask-first' }
    const { roles, plan } = await planOffer(offer, home.data, { probe: false })
    const site = await startSite({
      config,
      folder,
      port: 0,
      nodes: [{ name: 'home', roles, plan }],
      progress: () => undefined,
      onFailure: (error) => assert.fail(error),
    })
    try {
      await guest.join(await home.invite(), '--name', 'guest')
      await eventually(() => assert.ok(site.node.directory.node('guest')))
      const workers = ['agent-1', 'agent-2', 'agent-3', 'agent-4']
      const restarted: string[] = []
      const supervisor = await supervise(site.node, {
        name: 'supervisor',
        children: workers.map((name) => ({ name, definition: 'worker' })),
        onRestart: (child, node) => restarted.push(`${child} on ${node}`),
      })
      const places = () => new Set(workers.map((name) => supervisor.placeOf(name)))
      assert.deepEqual([...places()].sort(), ['guest', 'home'])

      const job = {
        workspace: workspaceId({ folder: workspace }),
        files: () => listFiles(workspace),
        workers,
        signal: new AbortController().signal,
        progress: () => undefined,
      }
      const truth = ledgerTruth(workspace)
      const request = 'Check the expense entries of this quarter: add up what is valid and name the faulty ones.'
      const first = await runJob(site.node, await site.tasks.begin({}), { ...job, request })
      assert.equal(first.ledger?.totalCents, truth.totalCents)
      assert.equal(first.error, undefined)
      const thought = new Set(first.parts.map(({ report }) => supervisor.placeOf(report?.worker ?? '')))
      assert.deepEqual([...thought].sort(), ['guest', 'home'])
      // The files are here.
      assert.deepEqual([...new Set(first.parts.map(({ report }) => report?.node))], ['home'])

      const second = runJob(site.node, await site.tasks.begin({}), { ...job, request })
      await guest.kill()
      assert.equal((await second).ledger?.totalCents, truth.totalCents)
      await eventually(() => assert.deepEqual([...places()], ['home']))
      assert.equal(restarted.length, 2)
      await supervisor.stop()
    } finally {
      const { verdict } = await site.close()
      folder.release()
      assert.equal(verdict.ok, true, JSON.stringify(verdict.faults))
    }
  })
})
