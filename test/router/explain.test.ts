import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { runCommand } from '../kit/command.js'
import { shipped } from './kit.js'

describe('clawmesh route --explain', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-route-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const rules = file('rules.yaml', shipped.replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]'))

  it('prints places, labels, rule, decision and what would leave', async () => {
    const text = file('mail.txt', 'Hello,\nplease answer anna@example.org soon.')
    const { status, stdout } = await runCommand(['route', '--explain', text, '--rules', rules])
    assert.equal(status, 0)
    assert.match(stdout, /^2:15 +email +CONFIDENTIAL PII +anna@example\.org$/m)
    assert.match(stdout, /^Rule +persons-are-redacted$/m)
    assert.match(stdout, /^please answer \[EMAIL_1_[a-z]{6}\] soon\.$/m)
  })

  it('goes by the rules of the mesh where the data folder is one’s, and by those that come with clawmesh elsewhere', async () => {
    const data = join(folder, 'a mesh')
    mkdirSync(data)
    const leaves = async () =>
      JSON.parse(
        (await runCommand(['route', '--explain', file('say.txt', 'hello'), '--data', data, '--json'])).lastLine,
      )
    assert.deepEqual((await leaves()).decision.models, [])
    cpSync(rules, join(data, 'router.yaml'))
    assert.deepEqual((await leaves()).decision.models, ['cloud/large'])
  })

  it('says whom `auto` asks first and why, of those that may see it', async () => {
    const prices = `order:
  prices:
    - { model: cloud/large, upTo: hard, input: 5, output: 15 }
    - { model: mesh, upTo: hard, input: 0, output: 20 }`
    const priced = file(
      'priced.yaml',
      shipped.replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]').replace(/^order: \{\}$/m, prices),
    )
    const explained = async (text: string) =>
      (await runCommand(['route', '--explain', file('asked.txt', text), '--rules', priced])).stdout
    const why = 'the cheapest that is good enough for a simple prompt'
    assert.match(
      await explained('hello'),
      new RegExp(`^Order +cloud/large \\(0\\.012\\), mesh \\(0\\.016\\): ${why}$`, 'm'),
    )
    assert.match(await explained('Patientennummer: 4711-2290'), new RegExp(`^Order +mesh \\(0\\.016\\): ${why}$`, 'm'))
  })

  it('says that nothing leaves by the shipped rules', async () => {
    const { stdout } = await runCommand(['route', '--explain', file('hello.txt', 'hello')])
    assert.match(stdout, /^Leaves +nothing: the rules name no model elsewhere$/m)
  })

  it('shows no more than the beginning of a secret, and is JSON if asked', async () => {
    const text = file('key.txt', 'x AKIAIOSFODNN7EXAMPLX')
    const { status, stdout, lastLine } = await runCommand(['route', '--explain', text, '--json'])
    assert.equal(status, 0)
    assert.ok(!stdout.includes('AKIAIOS'))
    const { decision, findings, leaves } = JSON.parse(lastLine)
    assert.deepEqual(
      [decision.effect, findings[0].of, findings[0].start, leaves],
      ['block', 'aws-access-key', 2, undefined],
    )
  })

  it('says what is wrong with a file that is not there', async () => {
    const { status, stderr } = await runCommand(['route', '--explain', join(folder, 'none')])
    assert.equal(status, 2)
    assert.match(stderr, /cannot be read/)
  })
})
