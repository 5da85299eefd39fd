import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { replay } from '../../../../nodes/agents/debate/course.js'
import { runCommand } from '../../../kit/command.js'
import { temporaryFolder } from '../../../kit/mesh.js'
import { Machine } from '../../machine.js'

describe('clawmesh debate', () => {
  const folder = temporaryFolder()
  after(() => rmSync(folder, { recursive: true, force: true }))
  const ask = (...args: string[]) =>
    runCommand(['debate', ...args, '--data', join(folder, 'mesh'), '--model', 'shipped'])

  it('decides a sum with the shipped model, with a transcript that replays and a trail that verifies', async () => {
    const { status, lastLine, stderr } = await ask(
      'What is 6 times 7?',
      '--agents',
      '5',
      '--rounds',
      '3',
      '--topology',
      'ring',
      '--vote',
      'weighted',
      '--json',
    )
    assert.equal(status, 0, stderr)
    const summary = JSON.parse(lastLine)
    assert.deepEqual([summary.ok, summary.answer, summary.auditVerified], [true, '42', true])
    assert.equal(replay(summary.transcript).outcome?.answer, '42')
    assert.ok(summary.bill.tokens > 0)
    assert.match(stderr, /arithmetic alone/)
  })

  it('is undecided where the shipped model has nothing to say, and says why', async () => {
    const { status, stdout } = await ask('Who was Ada Lovelace?', '--agents', '3')
    assert.equal(status, 1)
    assert.match(stdout, /Undecided/)
    assert.match(stdout, /no arithmetic in the question/)
  })

  it('is held on the mesh that runs here, with its models, several at once, and the mesh goes on', async () => {
    const home = new Machine()
    try {
      await home.up('--workspace', folder, '--name', 'home')
      const answers = await Promise.all([
        home.do('debate', 'What is 6 times 7?', '--agents', '3'),
        home.do('debate', 'What is 6 times 7?', '--agents', '3', '--json'),
      ])
      for (const { status, stdout, stderr } of answers) {
        assert.equal(status, 0, stderr)
        assert.match(stdout, /42/)
        assert.match(stderr, /on the mesh of .*: home\n/)
        assert.doesNotMatch(stderr, /nats-server/)
      }
      assert.match(answers[0].stdout, /\n {2}voter-1: 42/)
      assert.deepEqual(await home.names(), ['home', 'operator'])
      const { stdout } = await home.do('tasks', 'list')
      assert.equal(stdout.match(/ done .*6 times 7/g)?.length, 2, stdout)
    } finally {
      await home.remove()
    }
  })

  it('says what is wrong with its options before it starts anything', async () => {
    for (const args of [['1+1', '--topology', 'cube'], ['1+1', '--agents', '0'], ['1+1', '--vote', 'loud'], []]) {
      const { status, stderr } = await ask(...args)
      assert.equal(status, 2, stderr)
      assert.doesNotMatch(stderr, /nats-server/)
    }
  })
})
