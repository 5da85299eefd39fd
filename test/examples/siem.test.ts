import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { runSite } from '../audit/site.js'
import { runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'

const example = join(installation, 'examples', 'siem', 'collector.mjs')

describe('examples/siem', () => {
  it('takes what the command exports, each event once, and says what somebody should look at', async () => {
    const data = temporaryFolder()
    await runSite(data, async (node) => {
      await node.note('thought.asked', { words: 'ordinary' })
      await node.note('action.held', { tool: 'read_file', args: { path: 'a "quoted" {path}' } })
      await node.note('actor.crashed', { name: 'worker-7', reason: 'a bug' })
    })
    const child = spawn(process.execPath, [example, '0', 'SECRET'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    try {
      await eventually(() => assert.match(said, /listening on \d+/))
      const to = `http://127.0.0.1:${/listening on (\d+)/.exec(said)?.[1]}/services/collector/event`
      const token = join(data, 'token')
      const send = () => runCommand(['audit', 'export', '--to', to, '--token-file', token, '--data', data])
      writeFileSync(token, 'WRONG')
      assert.equal((await send()).status, 3)
      writeFileSync(token, 'SECRET')
      assert.equal((await send()).status, 0)
      await eventually(() => assert.match(said, /^5 events$/m))
      assert.match(said, /operator: read_file wants more than its policy grants/)
      assert.match(said, /operator: worker-7 crashed: a bug/)
      assert.doesNotMatch(said, /ordinary/)
    } finally {
      child.kill()
      rmSync(data, { recursive: true, force: true })
    }
  })

  it('is less than 60 lines', () => {
    assert.ok(readFileSync(example, 'utf8').split('\n').length < 60)
  })
})
