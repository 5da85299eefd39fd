import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { complexityOf, weigh } from '../../policies/complexity.js'
import { readDocument } from '../../policies/document.js'
import { preferenceOf } from '../../policies/preference.js'
import { decideRoute, parseRouterRules, sensitivityOfFile } from '../../policies/router.js'
import { labels } from '../../policies/router-label.js'
import { runRouterTable } from '../../policies/router-table.js'
import { settingsOf } from '../../router/settings.js'

const shipped = readFileSync(join(installation, 'policies', 'router.yaml'), 'utf8')
const theRest = /(name: the-rest-may-leave\n\s+when: \{)\}/
const changed = (from: string | RegExp, to: string) => parseRouterRules(shipped.replace(from, to), 'router.yaml')

describe('router rules with a truth table beside them', () => {
  for (const path of ['policies/router.yaml', 'examples/router/router.yaml']) {
    const file = join(installation, path)
    const beside = file.replace(/\.yaml$/, '.test.yaml')
    const rows = runRouterTable(
      parseRouterRules(readFileSync(file, 'utf8'), path),
      readDocument(readFileSync(beside, 'utf8'), beside),
    )
    for (const { about, expected, answer } of rows)
      it(`${path}: ${about.slice(0, 50)}: ${expected}`, () => assert.equal(answer, expected))
    it(`${path}: has rows`, () => assert.ok(rows.length > 5))
  }

  it('are refused where the table names a budget that the rules do not', () => {
    const row = 'cases: [{ label: PUBLIC, categories: [], spent: [day], expect: local, rule: none }]'
    assert.throws(() => runRouterTable(parseRouterRules(shipped), readDocument(row, 'table')), {
      code: 'POLICY_INVALID',
    })
  })
})

describe('the shipped router rules', () => {
  it('count a prompt in no time, whatever white space it is made of', () => {
    const begun = process.cpuUsage()
    for (const space of ['\n', '\r', '\r\n', '\u2028', ' \n', '\t'])
      for (const end of ['', '- a\n- b\n- c'])
        assert.equal(
          complexityOf(weigh({ messages: [{ content: `${space.repeat(30_000)}${end}` }], tools: 0, maxTokens: 1 }), {
            moderate: 99,
            hard: 99,
          }),
          'simple',
        )
    const { user } = process.cpuUsage(begun)
    assert.ok(user < 10e6, 'twelve prompts of 30,000 lines are read in no time')
  })

  it('let nothing leave until a person names a model', () => {
    const asShipped = parseRouterRules(shipped)
    for (const label of labels)
      assert.deepEqual(decideRoute(asShipped, { label, categories: [], roles: [] }).models, [])
  })

  it('are such that the router takes them', () => assert.doesNotThrow(() => settingsOf(parseRouterRules(shipped))))
})

describe('router rules', () => {
  const budgets = 'budgets: [{ name: day, limit: 5, per: day }]'
  const refused: Record<string, [string | RegExp, string]> = {
    'that let secrets leave': ['effect: block', 'effect: allow'],
    'that do not block secrets at all': [/ {2}- name: secrets-block\n.*\n.*\n/, ''],
    'that let through what could not be judged': ['on_error: refuse', 'on_error: allow'],
    'with a field that nobody knows': ['version: 1', 'version: 1\nfallback: cloud'],
    'with two rules of one name': ['name: health-stays', 'name: finances-stay'],
    'that redact without saying what': [/^ {4}redact: .*\n/m, ''],
    'whose rule names a model that elsewhere does not': [
      '    effect: allow',
      '    effect: allow\n    models: [cloud/other]',
    ],
    'that order a model which elsewhere does not name': ['order: {}', 'order: { hard: [cloud/other] }'],
    'that price a model which elsewhere does not name': [
      'order: {}',
      'order: { prices: [{ model: cloud/other, upTo: hard, input: 1, output: 1 }] }',
    ],
    'that price a model twice': [
      'order: {}',
      'order: { prices: [{ model: mesh, upTo: hard, input: 1, output: 1 }, { model: mesh, upTo: hard, input: 2, output: 1 }] }',
    ],
    'that ask for a budget which is none': [/(the-rest-may-leave\n\s+when: )\{\}/, '$1{ within: [day] }'],
    'with a budget that no rule asks for': ['budgets: []', budgets],
    'whose judging model is elsewhere': ['elsewhere: []', 'elsewhere: [cloud/other]\njudge: { model: cloud/other }'],
    'that are no YAML': ['rules:', 'rules: ['],
  }
  for (const [what, [from, to]] of Object.entries(refused))
    it(`${what} are refused`, () => assert.throws(() => changed(from, to), { code: 'POLICY_INVALID' }))

  const limited: Record<string, [string, RegExp, string]> = {
    'limits a model which elsewhere does not name': [budgets.replace('}', ', models: [cloud/other] }'), theRest, 'day'],
    'is below nothing': [budgets.replace('5', '-5'), theRest, 'day'],
    'is another than a rule asks for': [budgets, theRest, 'day, week'],
    'is all that blocks secrets': [budgets, /(name: secrets-block\n\s+when: \{ categories: \[SECRET\]) \}/, 'day'],
  }
  for (const [what, [written, rule, within]] of Object.entries(limited))
    it(`with a budget that ${what} are refused`, () =>
      assert.throws(
        () =>
          parseRouterRules(
            shipped
              .replace('budgets: []', written)
              .replace(rule, (_, before) => `${before}${before.endsWith('{') ? '' : ','} within: [${within}] }`),
          ),
        { code: 'POLICY_INVALID', message: /budget|limit|SECRET/ },
      ))

  describe('with prices', () => {
    const prices = `order:
  hard: [frontier/large]
  prices:
    - { model: mesh, upTo: simple, input: 0, output: 0 }
    - { model: frontier/wordy, upTo: hard, input: 0.1, output: 30 }
    - { model: frontier/large, upTo: hard, input: 5, output: 15 }
    - { model: frontier/small, upTo: moderate, input: 0.5, output: 2 }`
    const { order } = parseRouterRules(
      shipped
        .replace(/^elsewhere: \[\]$/m, 'elsewhere: [frontier/small, frontier/large, frontier/wordy]')
        .replace(/^order: \{\}$/m, prices),
    )
    const asked = (content: string, maxTokens = 800) =>
      preferenceOf(order, weigh({ messages: [{ content }], tools: 0, maxTokens }))

    it('ask the cheapest first that is good enough, and none that is not', () => {
      const { by, models, costs } = asked('Analyse this log.')
      assert.deepEqual([by, models], ['price', ['frontier/small', 'frontier/large', 'frontier/wordy']])
      assert.deepEqual(
        costs,
        costs.toSorted((a, b) => a - b),
      )
      assert.equal(asked('What is the capital of Portugal?').models[0], 'mesh')
    })

    it('reckon with how long the prompt and its answer are', () => {
      const long = `Analyse this log. ${'x '.repeat(1500)}`
      assert.equal(asked(long, 10).models[0], 'frontier/wordy')
      assert.equal(asked(long, 800).models[0], 'frontier/small')
    })

    it('follow a list where there is one', () => {
      const { complexity, by, models } = asked('Prove that it ends, step by step, and analyse its cost.')
      assert.deepEqual([complexity, by, models], ['hard', 'list', ['frontier/large']])
    })
  })

  it('ask of budgets whether enough is left of all, or too little of any', () => {
    const rules = parseRouterRules(
      shipped
        .replace('budgets: []', 'budgets: [{ name: day, limit: 5, per: day }, { name: task, limit: 1, per: task }]')
        .replace(
          'rules:',
          `rules:
  - { name: secret, when: { categories: [SECRET] }, effect: block }
  - { name: all, when: { within: [day, task] }, effect: block }
  - { name: any, when: { spent: [day] }, effect: block }`,
        ),
    )
    const by = (...spent: string[]) => decideRoute(rules, { label: 'PUBLIC', categories: [], roles: [], spent }).rule
    assert.deepEqual([by(), by('day'), by('task'), by('day', 'task')], ['all', 'any', 'the-rest-may-leave', 'any'])
  })

  it('that name a kind which is none, or redact secrets, are refused', () => {
    assert.throws(() => settingsOf(changed('redact: [email,', 'redact: [mail,')), { code: 'POLICY_INVALID' })
    assert.throws(() => settingsOf(changed('redact: [email,', 'redact: [secret,')), { code: 'POLICY_INVALID' })
  })

  it('keep what no rule matches', () => {
    const rules = changed(/ {2}- name: the-rest-may-leave\n.*\n.*\n/, '')
    assert.equal(decideRoute(rules, { label: 'PUBLIC', categories: [], roles: [] }).effect, 'local')
  })

  it('label files by the longest path, and a path that climbs by the highest label', () => {
    const rules = changed('files: []', 'files: [{ path: hr, label: RESTRICTED }, { path: hr/public/, label: PUBLIC }]')
    const labelOf = (path: string) => sensitivityOfFile(rules, path)?.label
    assert.equal(labelOf('hr/list.csv'), 'RESTRICTED')
    assert.equal(labelOf('./hr/public/jobs.md'), 'PUBLIC')
    assert.equal(labelOf('hr/public/../list.csv'), 'RESTRICTED')
    assert.equal(labelOf('hr-old/list.csv'), undefined)
  })
})
