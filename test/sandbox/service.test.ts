/** A sandbox node: its actions go to prepared workers, and these end with its actor. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { z } from 'zod'
import type { AuditEvent } from '../../mesh/audit/event.js'
import { actor, on } from '../../mesh/index.js'
import { parseProfile } from '../../policies/profile.js'
import { type ApprovalQuestion, AskApproval, approverName } from '../../sandbox/approval.js'
import { RunAction, sandboxName, sandboxService } from '../../sandbox/service.js'
import { auditEvents } from '../kit/events.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh } from '../kit/mesh.js'
import { descendant, parentOf } from './descendant.js'
import { newStage } from './stage.js'

test('a sandbox node launches by a pool, which ends with its actor', async () => {
  const { workspace } = await newStage()
  await writeFile(join(workspace, 'notes.txt'), 'one\ntwo\n')
  const mesh = await memoryMesh()
  try {
    const node = await mesh.join('sandboxed', { roles: ['sandbox'] })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }')
    await node.spawn(sandboxService(node, { workspace, profile }), { as: sandboxName('sandboxed') })
    const asker = await mesh.join('asker', { roles: ['supervisor'] })
    const request = { tool: 'count_lines', args: { path: 'notes.txt' } }
    const outcome = await asker.ref(sandboxName('sandboxed')).ask(RunAction, request)
    assert.ok(outcome.status === 'done', JSON.stringify(outcome))
    const daemon = await descendant('--pool')
    assert.equal(await parentOf(daemon), process.pid)
    await node.close()
    for (let tries = 0; (await parentOf(daemon)) !== 0; tries += 1) {
      assert.ok(tries < 3000, 'the daemon is still there')
      await new Promise((soon) => setTimeout(soon, 10))
    }
  } finally {
    await mesh.close()
  }
})

test('actions that wait for a person keep no other action waiting', async () => {
  const { workspace } = await newStage()
  await writeFile(join(workspace, 'notes.txt'), 'one\ntwo\n')
  const mesh = await memoryMesh()
  try {
    const node = await mesh.join('sandboxed', { roles: ['sandbox'] })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }\nask: [{ write: . }]')
    await node.spawn(sandboxService(node, { workspace, profile }), { as: sandboxName('sandboxed') })
    const desk = await mesh.join('desk', { roles: ['supervisor', 'gateway'] })
    let asked = 0
    const unanswering = on(AskApproval, (_, { signal }) => {
      asked += 1
      return new Promise((_answer, gone) => signal.addEventListener('abort', () => gone(signal.reason)))
    })
    await desk.spawn(actor('approver', () => [unanswering], { args: z.undefined(), concurrency: 100 }))
    await node.directory.wait(() => node.directory.locate('approver'), 60_000)
    const run = (tool: string, args: Record<string, unknown>, signal?: AbortSignal) =>
      desk.ref(sandboxName('sandboxed')).ask(RunAction, { tool, args }, signal ? { signal } : {})
    const gone = new AbortController()
    const many = 2 * availableParallelism() + 4
    const held = Array.from({ length: many }, (_, index) =>
      run('write_note', { path: `${index}.txt`, text: 'x' }, gone.signal).catch(() => undefined),
    )
    await eventually(() => assert.equal(asked, many))
    const outcome = await run('count_lines', { path: 'notes.txt' })
    assert.equal(outcome.status, 'done')
    gone.abort()
    await Promise.all(held)
  } finally {
    await mesh.close()
  }
})

test('nothing is run under a policy that was changed while its intent was being written', async () => {
  const { workspace } = await newStage()
  await writeFile(join(workspace, 'notes.txt'), 'one\ntwo\n')
  const mesh = await memoryMesh()
  try {
    const node = await mesh.join('sandboxed', { roles: ['sandbox'] })
    const policy = { name: 'reading', version: null, digest: 'd' }
    let inForce = { profile: parseProfile('filesystem_policy: { read_only: [.] }'), policy }
    const service = sandboxService(node, { workspace, profile: () => inForce })
    await node.spawn(service, { as: sandboxName('sandboxed') })
    const intend = node.audit.intend.bind(node.audit)
    mock.method(node.audit, 'intend', async (event: AuditEvent) => {
      await intend(event)
      inForce = { ...inForce, profile: parseProfile('{}') }
    })
    const asker = await mesh.join('asker', { roles: ['supervisor'] })
    const request = { tool: 'count_lines', args: { path: 'notes.txt' } }
    await assert.rejects(
      asker.ref(sandboxName('sandboxed')).ask(RunAction, request),
      /The policy changed while count_lines waited/,
    )
  } finally {
    await mesh.close()
  }
})

test('a program that opens a file beyond the policy waits for a person and goes on with it; all of it is on the audit trail', async () => {
  const { folder, workspace } = await newStage('/var/tmp')
  const letter = join(folder, 'letter')
  await writeFile(letter, 'dear')
  const mesh = await memoryMesh()
  try {
    const node = await mesh.join('sandboxed', { roles: ['sandbox'] })
    const policy = { name: 'asking', version: 3, digest: 'd' }
    let inForce = {
      profile: parseProfile('filesystem_policy: { read_only: [.] }\nask: [{ read: / }, { write: . }]'),
      policy,
    }
    await node.spawn(sandboxService(node, { workspace, profile: () => inForce }), { as: sandboxName('sandboxed') })
    const front = await mesh.join('front', { roles: ['gateway'] })
    const asked: ApprovalQuestion['missing'] = []
    await front.spawn(
      actor(approverName, () => [
        on(AskApproval, ({ missing }) => {
          asked.push(...missing)
          if (missing.some(({ path }) => path.endsWith('late'))) inForce = { ...inForce, profile: parseProfile('{}') }
          return { answer: 'allow' as const, by: 'Ada' }
        }),
      ]),
    )
    const asker = await mesh.join('asker', { roles: ['supervisor'] })
    const code = `import { readFileSync, writeFileSync } from 'node:fs'
      writeFileSync('answer', readFileSync('../letter') + ' Ada')
      try { writeFileSync('late', 'x') } catch ({ code }) { console.log(code) }`
    const outcome = await asker.ref(sandboxName('sandboxed')).ask(RunAction, { tool: 'node', args: { code } })
    assert.ok(outcome.status === 'done', JSON.stringify(outcome))
    // What a person allows is on top of a policy; that has changed by then.
    assert.equal(outcome.result['output'], 'EACCES\n', JSON.stringify(outcome))
    assert.equal(await readFile(join(workspace, 'answer'), 'utf8'), 'dear Ada')
    assert.deepEqual(
      asked.map(({ kind, path }) => [kind, path]),
      [
        ['read', letter],
        ['write', join(workspace, 'answer')],
        ['write', join(workspace, 'late')],
      ],
    )
    // Of an interpreter it is the code that an answer is for.
    const by = `${process.execPath} running code of its own sha256:`
    assert.ok(
      asked.every((access) => access.by?.startsWith(by) && access.by === asked[0]?.by),
      JSON.stringify(asked),
    )
    await node.audit.flush(60_000)
    const events = (await auditEvents(mesh)).filter(({ kind }) => /^(file|action|approval)/.test(kind))
    assert.deepEqual(
      events.slice(0, 6).map(({ kind, facts: { policy } }) => [kind, Object(policy).version]),
      ['action.intended', 'action.held', 'approval.answered', 'file.intended', 'file.opened', 'action.held'].map(
        (kind) => [kind, 3],
      ),
    )
    assert.deepEqual(
      events
        .filter(({ kind }) => kind.startsWith('file'))
        .map(({ kind, facts }) => [kind, facts['path'], facts['tool']]),
      [
        ['file.intended', letter, 'node'],
        ['file.opened', letter, 'node'],
        ['file.intended', join(workspace, 'answer'), 'node'],
        ['file.opened', join(workspace, 'answer'), 'node'],
        ['file.refused', join(workspace, 'late'), 'node'],
      ],
    )
    const { outcome: ended } = events.find(({ kind }) => kind === 'action.ended')?.facts ?? {}
    const sha256 = createHash('sha256').update('dear Ada').digest('hex')
    assert.deepEqual(Object(ended).deeds.wrote, [{ path: join(workspace, 'answer'), bytes: 8, sha256 }])
    assert.equal(Object(ended).deeds.ran[0].program, process.execPath)
  } finally {
    await mesh.close()
  }
})
