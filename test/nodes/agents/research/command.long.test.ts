/** `clawmesh research` and its example, as a person runs them, with a model server and a provider that are real servers of this test. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { installation } from '../../../../mesh/installation.js'
import type { ModelServer } from '../../../inference/openai/server.js'
import { runCommand } from '../../../kit/command.js'
import { temporaryFolder } from '../../../kit/mesh.js'
import { Machine } from '../../machine.js'
import { serveResearcher } from './server.js'

describe('clawmesh research', () => {
  const folder = temporaryFolder()
  const sources = join(folder, 'sources')
  let model: ModelServer
  before(async () => {
    model = await serveResearcher(/kettle/)
    mkdirSync(sources)
    writeFileSync(
      join(sources, 'minutes.txt'),
      `${randomBytes(4).toString('hex')}\nThe committee chose the blue kettle.\n`,
    )
    writeFileSync(join(sources, 'invoice.txt'), 'One kettle, 40 EUR.\n')
  })
  after(async () => {
    await model.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const ask = (...args: string[]) =>
    runCommand(['research', '--data', join(folder, 'mesh'), '--model', model.url, '--nodes', '2', ...args])

  it('answers from a folder with the places of its words, a ledger, and a trail that verifies', async () => {
    const { status, lastLine, stderr } = await ask('Which kettle was bought?', '--sources', sources, '--json')
    assert.equal(status, 0, stderr)
    const { ok, answer, evidence, writer, bill, trace } = JSON.parse(lastLine)
    assert.deepEqual([ok, answer], [true, 'It says so [2].'])
    assert.deepEqual(
      evidence.map(({ place, quote, cited }: { place: string; quote: string; cited: boolean }) => [
        place,
        quote,
        cited,
      ]),
      [
        ['invoice.txt:1', 'One kettle, 40 EUR.', false],
        ['minutes.txt:2', 'The committee chose the blue kettle.', true],
      ],
    )
    assert.deepEqual(
      [writer.model, writer.zone, writer.reason],
      ['researcher', 'mesh', 'the mesh has no model elsewhere'],
    )
    assert.deepEqual(
      bill.lines.map(({ role, requests, promptTokens }: { role: string; requests: number; promptTokens: number }) => [
        role,
        requests,
        promptTokens,
      ]),
      [
        ['plan', 1, 100],
        ['read', 2, 200],
        ['write', 1, 100],
      ],
    )
    const costs = await runCommand(['costs', '--task', trace, '--data', join(folder, 'mesh'), '--json'])
    assert.equal(JSON.parse(costs.lastLine).sum.requests, 4)
  })

  it('is done on the mesh that runs here where the sources lie in its workspace, and is refused where they do not and it was named', async () => {
    const home = new Machine()
    try {
      // Named by a link, as people do.
      const named = join(home.data, '..', 'named')
      symlinkSync(folder, named)
      await home.up('--workspace', named, '--policy', 'read-only-research', '--model', model.url)
      const { status, stdout, stderr } = await home.do('research', 'Which kettle was bought?', '--sources', sources)
      assert.equal(status, 0, stderr)
      assert.match(stderr, /on the mesh of /)
      assert.doesNotMatch(stderr, /nats-server/)
      assert.match(stdout, /It says so \[2\]\.\n/)
      assert.match(stdout, /sources\/minutes\.txt:2 {2}The committee chose/)
      const away = join(home.data, '..', 'away')
      mkdirSync(away)
      writeFileSync(join(away, 'a.txt'), 'One kettle.\n')
      const other = await home.do('research', 'Which kettle was bought?', '--sources', away)
      assert.equal(other.status, 2, other.stderr)
      assert.match(
        other.error[0] ?? '',
        /cannot be done on the mesh of .*, which runs: the sources are not in its workspace/,
      )
      assert.match(other.error[1] ?? '', /Leave --data out/)
      // Nobody named that mesh, so it is done on another.
      const env = { CLAWMESH_DATA: home.data, CLAWMESH_MODEL_URL: model.url }
      const own = await runCommand(['research', 'Which kettle was bought?', '--sources', away], { env })
      assert.match(own.stderr, /not on the mesh of .*, which runs: the sources are not in its workspace/)
      assert.match(own.stderr, /nats-server/)
    } finally {
      await home.remove()
    }
  })

  it('says what is wrong before it starts anything', async () => {
    for (const args of [
      ['Why?'],
      ['Why?', '--sources', 'ftp://example.org/a'],
      ['Why?', '--sources', sources, '--nodes', '0'],
    ]) {
      const { status, stderr } = await ask(...args)
      assert.equal(status, 2, stderr)
      assert.doesNotMatch(stderr, /nats-server/)
    }
  })

  it('has an example', async () => {
    const example = join(installation, 'dist', 'examples', 'research.js')
    const { stdout } = await promisify(execFile)(process.execPath, [example, model.url], { timeout: 60_000 })
    assert.equal(
      stdout,
      'It says so [2].\n[2] minutes.txt:2: The committee chose the blue kettle.\nwritten by researcher (mesh), 440 tokens in all\n',
    )
  })
})
