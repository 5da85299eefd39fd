import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify, longestText } from '../../router/classify.js'
import { canonical } from '../../router/view/canonical.js'
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

describe('hostile input', () => {
  for (const name of hostileTexts)
    it(`${name} for a megabyte is judged in time that grows with its length`, () => {
      const { label, cpuMs } = judgeHostile(name, megabyte)
      assert.ok(['INTERNAL', 'CONFIDENTIAL', 'RESTRICTED'].includes(label))
      assert.ok(cpuMs < 6000, `${cpuMs} ms`)
    })

  it('that is longer than may be judged is refused', () => {
    assert.throws(() => classify('a'.repeat(longestText + 1), testSettings), { code: 'DENIED' })
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
