import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify } from '../../router/classify.js'
import { detectorOf } from '../../router/detect/pattern.js'
import { development } from './data/development.js'
import { samples } from './data/template.js'
import { secretMakers, Values } from './data/values.js'
import { precision, recall, score, testSettings } from './score.js'

const found = (text: string): string[] =>
  classify(text, testSettings).findings.map(({ kind, span }) => `${kind} ${text.slice(span.start, span.end)}`)

describe('detectors', () => {
  const texts = samples(development, 30, 5)
  for (const [kind, leastRecall, leastPrecision] of [
    ['email', 0.995, 0.97],
    ['url', 0.995, 0.97],
    ['iban', 0.995, 0.97],
    ['card', 0.995, 0.97],
    ['national-id', 0.995, 0.97],
    ['ip', 0.99, 0.95],
    ['phone', 0.92, 0.8],
    ['date', 0.97, 0.9],
  ] as const)
    it(`find ${kind} in texts of the development templates, and little else`, () => {
      const counted = score(texts, [kind])
      assert.ok(counted.there >= 30)
      assert.ok(recall(counted) >= leastRecall, counted.missed.slice(0, 5).join('\n'))
      assert.ok(precision(counted) >= leastPrecision, counted.wrong.slice(0, 5).join('\n'))
    })

  it('leave code, versions, hashes and prose alone', () => {
    for (const text of [
      'std::vector<a::b> x; foo::bar();',
      'Chrome 120.0.6099.109 on Windows',
      '@app.route("/users") returns 404',
      'The password is required and must be changed; token: string',
      'commit 9fceb02d0ae598e95dc970b74767f19372d61af8',
      'const secret = process.env.SECRET',
      'pages 100-200, figures 3.1 to 3.14',
      'We shipped 1,234,567 units in 2023 and 2024',
      'Diabetes is a disease; research on cancer continues.',
    ])
      assert.deepEqual(
        found(text).filter((each) => !/^(?:date|url)/.test(each)),
        [],
        text,
      )
  })

  it('tell a date of birth from another date', () => {
    assert.deepEqual(found('geboren am 3. März 1987'), ['birth-date 3. März 1987'])
    assert.deepEqual(found('geliefert am 3. März 1987'), ['date 3. März 1987'])
  })

  it('find health where somebody is ill, not where illness is the topic', () => {
    for (const text of [
      'The patient was diagnosed with type 2 diabetes.',
      'Meine Mutter leidet an Depressionen.',
      'He takes metformin 500 mg twice a day',
      'Hauptdiagnose: E11.9',
      'MRN 00482913',
      'Patientennummer: 4711-2290',
    ])
      assert.deepEqual(classify(text, testSettings).categories, ['PHI'], text)
  })

  it('find statements, tables and account numbers', () => {
    for (const text of [
      'Kontoauszug: alter Saldo 1.234,56 EUR',
      'Account number 12345678, routing 021000021',
      'Gehaltsabrechnung Mai: Nettolohn 2.345,67 EUR',
      'date,amount,balance\n2024-01-02,12.50,100.00\n2024-01-03,-9.99,90.01\n2024-01-04,5.00,95.01\n',
    ])
      assert.deepEqual(classify(text, testSettings).categories, ['FIN'], text)
  })
})

describe('a value that is written in an unusual way', () => {
  const kindsIn = (text: string) => classify(text, testSettings).findings.map(({ kind }) => kind)
  for (const [text, kind] of [
    ['IBAN DE❽❾ ❸❼⓿❹ ⓿⓿❹❹ ⓿❺❸❷ ⓿❶❸⓿ ⓿⓿', 'iban'],
    ['Karte 四一一一 一一一一 一一一一 一一一一', 'card'],
    ['IBAN ᎠᎬ89 3704 0044 0532 0130 00', 'iban'],
    ['to 🅰🅽🅽🅰@🅴🆇🅰🅼🅿🅻🅴.🅾🆁🅶 now', 'email'],
    ['IBAN DE89/3704/0044/0532/0130/00', 'iban'],
    ['?q=DE89+3704+0044+0532+0130+00', 'iban'],
    ['the card in scan_4111_1111_1111_1111_b.pdf', 'card'],
    ['SSN: scan_123_45_6789.pdf', 'national-id'],
    ['\u001b[32mghp_\u001b[0m0123456789abcdefghijABCDEFGHIJ012345', 'secret'],
    ['anna&ZeroWidthSpace;@exam&lrm;ple.org', 'email'],
    ['anna+AEA-example+AC4-org', 'email'],
    ['\\61 \\6e \\6e \\61 \\40 example.org', 'email'],
    ['=61=6e=6e=61=40example.org', 'email'],
    ['/w4AYQBuAG4AYQBAAGUAeABhAG0AcABsAGUALgBvAHIAZw=='.replace('/w4', '/v8'), 'email'],
    ['| anna@exam |\n| ple.org |', 'email'],
    ['anna@exam/* no */ple.org', 'email'],
    ['DE89 3704 0044$$0532 0130 00', 'iban'],
    ['DE89 3704 0044\\\n  0532 0130 00', 'iban'],
  ] as const)
    it(`is found: ${JSON.stringify(text)}`, () => assert.ok(kindsIn(text).includes(kind)))
})

describe('secrets', () => {
  const values = new Values(3)
  for (const [family, make] of Object.entries(secretMakers))
    it(`of the family ${family} are found in prose, in code and in JSON`, () => {
      for (let round = 0; round < 20; round += 1) {
        const secret = make(values)
        for (const text of [
          `Please use ${secret} for now.`,
          `x = 1\n${secret}\ny = 2`,
          JSON.stringify({ note: secret }),
        ])
          assert.ok(classify(text, testSettings).categories.includes('SECRET'), text)
      }
    })
})

describe("a person's own pattern", () => {
  it('is found by its name', () => {
    const settings = { ...testSettings, more: [detectorOf({ name: 'project', pattern: 'PRJ-[0-9]{4}' })] }
    const [finding] = classify('about PRJ-1234', settings).findings
    assert.deepEqual([finding?.kind, finding?.of, finding?.span], ['custom', 'project', { start: 6, end: 14 }])
  })

  it('that would take another engine forever takes no time', () => {
    const settings = { ...testSettings, more: [detectorOf({ name: 'hostile', pattern: '(a+)+$' })] }
    const begun = process.cpuUsage()
    classify(`${'a'.repeat(50_000)}!`, settings)
    assert.ok(process.cpuUsage(begun).user < 10_000_000)
  })

  it('that RE2 does not take is refused', () => {
    assert.throws(() => detectorOf({ name: 'back', pattern: '(a)\\1' }), { code: 'POLICY_INVALID' })
  })
})
