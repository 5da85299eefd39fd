/** The attempts that need no network and nobody who is asked, against what holds without namespaces. That each gets through outside, escape.test.ts shows. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { launch } from '../../../sandbox/launch.js'
import { newStage, plan } from '../../sandbox/stage.js'
import { attemptNames, compileAttempts } from './attempts.js'

/** What docs/policies.md says that this mode lets be seen; and what is tried against a policy that it refuses as a whole. */
const lets = ['stat-outside']
const refused = ['make-missing-read-only', 'rename-parent-of-read-only']

const names = (await attemptNames()).filter((name) => !/^(network|open|name)-/.test(name) && !refused.includes(name))

/** Open to whoever the action is: nothing but what holds it keeps it from there. */
async function openStage() {
  const stage = await newStage('/var/tmp')
  await Promise.all([chmod(stage.folder, 0o777), chmod(stage.workspace, 0o777), chmod(stage.target, 0o666)])
  return stage
}

describe('attempts to get out, without namespaces', { concurrency: 2 }, () => {
  let binary = ''
  let sentinel: ChildProcess
  before(async () => {
    binary = await compileAttempts((await openStage()).folder)
    sentinel = spawn('sleep', ['3600'])
  })
  after(() => sentinel.kill())

  for (const name of names)
    test(name, async () => {
      const { folder, workspace, target } = await openStage()
      await mkdir(join(folder, 'beside'))
      const facts = async () => {
        const { mode, uid, mtimeMs, nlink } = await stat(target)
        return { text: await readFile(target, 'utf8'), mode, uid, mtimeMs, nlink }
      }
      const untouched = await facts()
      const extra = name === 'kill-outside' ? String(sentinel.pid) : name === 'overwrite-itself' ? workspace : '1'
      const policy = 'filesystem_policy: { include_workdir: true }\nlimits: { wall_ms: 120000, memory_mb: 64 }'
      const action = await plan(policy, workspace, { program: binary, args: [name, target, workspace, extra] })
      const outcome = await launch(action, { degraded: true })
      const held = outcome.exitCode === 1 || outcome.signal === 31
      assert.equal(held, !lets.includes(name), `ended with ${outcome.exitCode} / ${outcome.signal}`)
      assert.deepEqual(await facts(), untouched)
      assert.equal(sentinel.exitCode, null)
    })
})
