import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify, longestText } from '../../router/classify.js'
import { read } from '../../router/detect/reading.js'
import { wordedIn } from '../../router/detect/worded.js'
import { canonical } from '../../router/view/canonical.js'
import { factsOf, type Run, reachOf } from '../../router/view/facts.js'
import { plainView } from '../../router/view/view.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { hostileTexts, judgeHostile, megabyte } from './hostile.js'
import { testSettings } from './score.js'

const canonicalOf = (text: string) => canonical(plainView(text))

describe('the canonical view', () => {
  it('spells every lookalike, width, mark and alphabet of digits plainly', () => {
    for (const [text, plain] of [
      ['ａｎｎａ＠ｅｘ．ｏｒｇ', 'anna@ex.org'],
      ['аnnа', 'anna'],
      ['𝐚𝐧𝐧𝐚 ⓐ', 'anna a'],
      ['a\u200bn\u00adn\u2060a', 'anna'],
      ['٤١١١', '4111'],
      ['Überweisung', 'Uberweisung'],
      ['e\u0301', 'e'],
      ['ﬁle', 'file'],
      ['a\u00a0b\u2003c', 'a b c'],
      ['\u{e0061}\u{e0062}', 'ab'],
      ['j\u0000o', 'jo'],
    ] as const)
      assert.equal(canonicalOf(text).text, plain)
  })

  it('maps each stretch to what stands for it in the original', () => {
    const text = 'x ａ\u200bｎ𝐧ａ＠ y'
    const view = canonicalOf(text)
    const at = view.text.indexOf('anna@')
    const { start, end } = view.origin(at, at + 5)
    assert.equal(text.slice(start, end), 'ａ\u200bｎ𝐧ａ＠')
  })

  it('maps any stretch of random text to a stretch that folds to the same', () => {
    const random = seededRandom(11)
    const alphabet = [...'ab1 @.äßаｏ\u200b\u00ad\u0301𝐱😀ﬁ½']
    for (let round = 0; round < 500; round += 1) {
      const text = Array.from({ length: 40 }, () => alphabet[wholeBelow(random, alphabet.length)]).join('')
      const view = canonicalOf(text)
      const start = wholeBelow(random, view.text.length)
      const end = start + 1 + wholeBelow(random, view.text.length - start)
      const origin = view.origin(start, end)
      assert.ok(canonicalOf(text.slice(origin.start, origin.end)).text.includes(view.text.slice(start, end)))
    }
  })
})

describe('what is read once more', () => {
  const joined = (text: string): number => factsOf(text).breaks.length

  it('is a break where something may go on, and not one between a number and a word, or two sentences', () => {
    for (const text of [
      'card 4111 1111\n1111 1111 ok',
      'DE89 3704 0044\n0532 0130 00',
      'key gho_A1b2C3\nD4e5F6',
      'at anna@exam\nple.org',
    ])
      assert.ok(joined(text) > 0, text)
    for (const text of [
      'dates like 13-Jul-2011.\nPlan a trip',
      'call 030 7627807\nWrite a letter',
      'in three sentences.\nDer Drucker 10.0.0.1',
      'version 1.15.36\r\n\r\nHow do I go on?',
    ])
      assert.equal(joined(text), 0, text)
  })

  it('is a break within a key that has no digit, in capitals or in both cases', () => {
    for (const text of ['NRAK-JXCBOXNTTXK\nXYVFYDYXYWLJBNHR', 'hf_pTYAjeKSjWnHWRW\nQrdScJwJwVHiEXSLnZY'])
      assert.ok(classify(`git clone fails with ${text}, why?`, testSettings).categories.includes('SECRET'), text)
    assert.equal(joined('call someFunctionName\nhere'), 0)
  })

  it('is a word for a digit beside another, or beside what no prose has', () => {
    const worded = (text: string) => wordedIn(read(plainView(text), factsOf(text))).length
    for (const text of ['a three-day trip', 'give me five names, and much later two more of them'])
      assert.equal(worded(text), 0)
    for (const text of ['gho_U zero pZ', 'it is four one one one', '41 one 11']) assert.equal(worded(text), 1, text)
  })
})

describe('hostile input', () => {
  for (const name of hostileTexts)
    it(`${name} for a megabyte is judged in time that grows with its length`, () => {
      const { label, cpuMs } = judgeHostile(name, megabyte)
      assert.ok(['INTERNAL', 'CONFIDENTIAL', 'RESTRICTED'].includes(label))
      assert.ok(cpuMs < 6000, `${cpuMs} ms`)
    })

  it('is searched for what reaches where in time that grows with its length', () => {
    const runs = Array.from({ length: 60_000 }, (_, at): Run => [at * 66 + 1, at * 66 + 1])
    const blobs = runs.map(([at]): Run => [at + 1, at + 65])
    const begun = process.cpuUsage()
    assert.equal(reachOf(runs, 0, 66 * 60_000, blobs).length, runs.length)
    assert.ok(process.cpuUsage(begun).user < 1_000_000)
  })

  it('that is longer than may be judged is refused', () => {
    assert.throws(() => classify('a'.repeat(longestText + 1), testSettings), { code: 'DENIED' })
  })

  it('that breaks off within a character of wide text is read as far as it goes', () => {
    for (const ends of ['big', 'little'] as const)
      for (const size of [2, 4])
        for (let cut = 0; cut < size; cut += 1) {
          const bytes = Buffer.alloc(20 * size)
          for (const [at, character] of [...'anna@example.org xyz'].entries())
            bytes[at * size + (ends === 'big' ? size - 1 : 0)] = character.charCodeAt(0)
          const text = bytes.subarray(0, bytes.length - cut).toString('base64')
          assert.equal(classify(text, testSettings).findings[0]?.kind, 'email', `${ends} ${size} ${cut}`)
        }
  })

  it('that unpacks to more than may be read, or is nested too deep, is RESTRICTED and not taken for harmless', async () => {
    const { gzipSync } = await import('node:zlib')
    let nested = 'my address is anna@example.org, keep it'
    for (let depth = 0; depth < 7; depth += 1) nested = Buffer.from(nested).toString('base64')
    assert.equal(classify(nested, testSettings).label, 'RESTRICTED')
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, 'a')).toString('base64')
    assert.notEqual(classify(bomb, testSettings).label, 'INTERNAL')
  })
})
