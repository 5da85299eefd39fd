import assert from 'node:assert/strict'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { temporaryFolder } from '../inference/folder.js'
import { type CommandResult, runCommand } from '../kit/command.js'
import { commit, serveHub, type TestHub } from '../kit/hub.js'

const files = { 'config.json': Buffer.from('{}'), 'model.onnx': Buffer.alloc(50_000, 'graph') }

describe('clawmesh models', () => {
  let hub: TestHub
  let run: (...args: string[]) => Promise<CommandResult>
  before(async () => {
    hub = await serveHub('makers/tiny', { files, licence: { license: 'other', license_name: 'terms' } })
    const env = { CLAWMESH_CACHE: await temporaryFolder(), CLAWMESH_MODEL_HUB: hub.url }
    run = (...args) => runCommand(['models', ...args], { env })
  })
  after(() => hub.close())

  it('pulls only under an accepted licence, lists, verifies, finds damage, goes without a network, removes', async () => {
    const refused = await run('pull', 'makers/tiny')
    assert.equal(refused.status, 3)
    assert.match(refused.stderr, /licence "terms"[\s\S]*--accept-licence/)
    const pulled = await run('pull', 'makers/tiny', '--accept-licence', '--json')
    assert.equal(pulled.status, 0, pulled.stderr)
    assert.match(pulled.stderr, /100 % of 50.0 kB/)
    const { folder, commit: pinned } = JSON.parse(pulled.lastLine)
    assert.equal(pinned, commit)
    assert.match((await run('list')).stdout, /makers\/tiny {2}0123456789ab {2}50.0 kB in 2 files/)
    assert.equal((await run('verify')).status, 0)
    await truncate(join(folder, 'model.onnx'), 7)
    const broken = await run('verify', 'makers/tiny')
    assert.equal(broken.status, 1)
    assert.match(broken.stdout, /BROKEN[\s\S]*model.onnx: it has 7 bytes instead of 50000/)
    assert.equal((await run('pull', 'makers/tiny', '--offline')).status, 4)
    assert.equal((await run('pull', 'makers/tiny')).status, 0)
    assert.equal((await run('pull', 'makers/tiny', '--offline', '--revision', commit)).status, 0)
    assert.match((await run('rm', 'makers/tiny')).stdout, /is gone: 50.0 kB freed/)
    assert.match((await run('list')).stdout, /No model was fetched/)
    assert.equal((await run('pull', 'makers/tiny', '--offline')).status, 1)
  })

  it('says of a missing name, model or hub what to do', async () => {
    assert.equal((await run('pull')).status, 2)
    assert.equal((await run('rm', 'makers/none')).status, 1)
    assert.equal((await run('pull', 'makers/none')).status, 1)
    const away = await run('pull', 'makers/tiny', '--hub', 'http://127.0.0.1:9')
    assert.equal(away.status, 1)
    assert.match(away.stderr, /cannot be read[\s\S]*try again/)
  })

  it('shows the family, with what is not for a CPU', async () => {
    const { status, stdout } = await run('list', '--known')
    assert.equal(status, 0)
    assert.match(
      stdout,
      /NVIDIA-Nemotron-3-Nano-30B-A3B: 30 B parameters, 3.5 B at a time; [^\n]*not for onnxruntime on a CPU/,
    )
  })
})
