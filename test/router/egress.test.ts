import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { openWith, sealWith } from '../../mesh/seal/box.js'
import { utf8 } from '../../mesh/seal/keys.js'
import { detectors } from '../../router/detect/detectors.js'
import { clear } from '../../router/egress/clearance.js'
import { Egress } from '../../router/egress/egress.js'
import { openKey } from '../../router/provider/sealed-key.js'
import { type Provider, ProviderStore } from '../../router/provider/store.js'
import { choose } from '../../router/route.js'
import { Router } from '../../router/router.js'
import { namesIn } from '../../router/tagger/names.js'
import { TaggerProcess } from '../../router/tagger/process.js'
import { type Tagger, tagKinds } from '../../router/tagger/tagger.js'
import { eventually } from '../kit/eventually.js'
import { streamChunks } from './cloud.js'
import { leaked } from './data/canary.js'
import { evasions } from './data/evasions.js'
import { secretMakers, Values } from './data/values.js'
import { asker, asking, collected, destination, openStand, rulesWithCloud, type Stand, secretKey } from './kit.js'

const never = new AbortController().signal

describe('the way out', () => {
  let stand: Stand
  beforeEach(async () => {
    stand = await openStand()
  })
  afterEach(() => stand.close())

  const ask = (...contents: string[]) => {
    const session = stand.router.open('task-1')
    return collected(stand.router.ask(session, asking(...contents), asker, destination))
  }
  const clearing = (body: Uint8Array) =>
    clear({
      rules: rulesWithCloud,
      settings: stand.router.settings,
      names: (texts) => namesIn(texts, stand.tagger, tagKinds, stand.router.settings),
      audit: stand.trail,
      sensitivity: { label: 'INTERNAL', categories: [] },
      ...{ spent: [], destination, body, signal: never },
      ...asker,
    })

  it('takes a question and streams the answer, with what was redacted put back', async () => {
    stand.cloud.answer = (body, response) => {
      const [, pseudonym = ''] = /(\[EMAIL_1_[a-z]{6}\])/.exec(body) ?? []
      streamChunks(response, ['I would write to ', pseudonym.slice(0, 7), pseudonym.slice(7), ' today.'])
    }
    assert.equal(await ask('Whom do I ask? anna@example.org is away.'), 'I would write to anna@example.org today.')
    assert.equal(stand.cloud.sent.length, 1)
    assert.deepEqual(leaked(stand.cloud.sent.join(), ['anna@example.org']), [])
    assert.match(stand.cloud.sent[0] ?? '', /\[EMAIL_1_/)
    assert.deepEqual(
      stand.trail.events.map(({ kind }) => kind),
      ['route.decided', 'egress.intended', 'egress.ended'],
    )
    assert.ok(!JSON.stringify(stand.trail.events).includes('anna'))
  })

  it('has no text looked at for names twice, and what is written into one looked at anew', async () => {
    const looked: string[] = []
    const tagger: Tagger = {
      tag: (texts) => {
        looked.push(...texts)
        return stand.tagger.tag(texts)
      },
    }
    const { egress, trail: audit } = stand
    const router = new Router({ rules: rulesWithCloud, egress, audit, tagger })
    await collected(router.ask(router.open(''), asking('Whom do I ask? anna@example.org is away.'), asker, destination))
    assert.equal(new Set(looked).size, looked.length)
    assert.deepEqual([looked[0]?.includes('anna@'), looked.some((text) => text.includes('[  '))], [true, true])
  })

  it('takes no body without a clearance, and none with an object that looks like one', async () => {
    const body = Buffer.from('{}')
    const real = await clearing(body)
    const copy = Object.create(Object.getPrototypeOf(real), Object.getOwnPropertyDescriptors(real))
    for (const forged of [copy, {}, { destination, holdsFor: () => true }])
      await assert.rejects(stand.egress.send(forged, body, never).next(), { code: 'DENIED' })
    const remade = Reflect.construct(real.constructor, ['0'.repeat(64), destination])
    await assert.rejects(stand.egress.send(remade, body, never).next(), { code: 'DENIED' })
    assert.equal(stand.cloud.sent.length, 0)
  })

  it('takes a clearance for its body alone, and once', async () => {
    const body = Buffer.from('{"messages":[{"content":"hello"}]}')
    await assert.rejects(stand.egress.send(await clearing(body), Buffer.from('{"messages":[]}'), never).next(), {
      code: 'DENIED',
    })
    assert.equal(stand.cloud.sent.length, 0)
    const clearance = await clearing(body)
    for await (const _ of stand.egress.send(clearance, body, never));
    await assert.rejects(stand.egress.send(clearance, body, never).next(), { code: 'DENIED' })
    assert.equal(stand.cloud.sent.length, 1)
  })

  it('sends no name, address or organisation, however it is encoded, and puts them back in the answer', async () => {
    stand.cloud.answer = (body, response) => {
      const { messages } = JSON.parse(body) as { messages: { content: string }[] }
      streamChunks(response, [messages.map(({ content }) => content).join(' | ')])
    }
    const letter = 'Write to Wiebke Brinkhoff of Larkfield Ltd, 12 Hawthorn Road, Leeds LS1 4QT.'
    const encoded = Buffer.from('The contract was signed by Thorvald Quandahl.').toString('base64')
    assert.equal(await ask(letter, encoded), `${letter} | ${encoded}`)
    for (const word of ['Wiebke', 'Brinkhoff', 'Larkfield', 'Hawthorn', encoded])
      assert.equal(stand.cloud.sent.join().includes(word), false, word)
    assert.match(stand.cloud.sent[0] ?? '', /\[NAME_1_.*\[ORGANISATION_1_.*\[ADDRESS_1_/)
  })

  it('clears no body in which something sensitive is left, in whatever field', async () => {
    for (const body of [
      { messages: [{ content: 'The contract was signed by Thorvald Quandahl.' }] },
      { messages: [{ content: 'anna@example.org' }] },
      { tools: [{ name: 'x', parameters: { 'anna@example.org': 1 } }] },
      { metadata: { a: ['DE89 3704 0044', '0532 0130 00'] } },
      { image: { alt: Buffer.from('mail anna@example.org now').toString('base64') } },
    ])
      await assert.rejects(clearing(Buffer.from(JSON.stringify(body))), { code: 'DENIED' })
  })

  it('lets no secret, health or finance out, and says which rule keeps it', async () => {
    for (const text of [
      'password: hunter2xx!',
      'The patient was diagnosed with diabetes.',
      'Kontoauszug: alter Saldo 1.234,56 EUR',
    ])
      await assert.rejects(ask(text), { code: 'DENIED' })
    assert.equal(stand.cloud.sent.length, 0)
  })

  it('lets nothing out of a session that has seen health before', async () => {
    const session = stand.router.open('task-1')
    session.raise({ label: 'RESTRICTED', categories: ['PHI'] })
    await assert.rejects(collected(stand.router.ask(session, asking('What is two and two?'), asker, destination)), {
      code: 'DENIED',
    })
    assert.equal(stand.cloud.sent.length, 0)
  })

  it('reads the form of the answer too, and tells no model elsewhere of it', async () => {
    const form = (text: string) => ({
      ...asking('What is two and two?'),
      json: { name: 'sum', schema: { type: 'object', properties: { x: { enum: [text] } } } },
    })
    const judged = await stand.router.judge(stand.router.open(''), form('password: hunter2xx!'), asker)
    assert.equal(judged.decision.rule, 'secrets-block')
    await collected(stand.router.ask(stand.router.open(''), form('anna@example.org'), asker, destination))
    assert.deepEqual(leaked(stand.cloud.sent.join(), ['anna@example.org']), [])
    assert.equal(stand.cloud.sent.length, 1)
  })

  it('takes no count from a provider that can be none', async () => {
    for (const [counts, usage] of [
      [
        { prompt_tokens: 5, completion_tokens: 2 },
        { promptTokens: 5, cachedTokens: 0, outputTokens: 2 },
      ],
      [{ prompt_tokens: -5, completion_tokens: 2 }, null],
      [{ prompt_tokens: 5, completion_tokens: 0.5 }, null],
      [{ completion_tokens: 2 }, null],
    ] as const) {
      stand.cloud.answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end(`data: ${JSON.stringify({ choices: [], usage: counts })}\n\ndata: [DONE]\n\n`)
      }
      const events = stand.router.ask(stand.router.open(''), asking('What is two and two?'), asker, destination)
      for await (const event of events) if (event.type === 'done') assert.deepEqual(event.usage, usage)
    }
  })

  it('lets nothing out that is split between messages or stands in the definition of a tool', async () => {
    await assert.rejects(ask('My account is DE89 3704 0044', '0532 0130 00, thank you'), { code: 'DENIED' })
    const request = {
      ...asking('hello'),
      tools: [{ name: 'mail', description: 'Mails anna@example.org', parameters: {} }],
    }
    const session = stand.router.open('task-1')
    await assert.rejects(collected(stand.router.ask(session, request, asker, destination)), { code: 'DENIED' })
    assert.equal(stand.cloud.sent.length, 0)
  })

  it('lets no image out, whatever the rules say of what nobody has read', async () => {
    const open = {
      ...rulesWithCloud,
      rules: [...rulesWithCloud.rules.slice(0, -1), { name: 'all', when: {}, effect: 'allow' as const }],
    }
    const other = await openStand(open)
    try {
      const { messages, maxTokens } = asking('What is on this picture?')
      const image = { type: 'image/png' as const, data: 'AAAA' }
      const request = { messages: messages.map((message) => ({ ...message, images: [image] })), maxTokens }
      const { decision, sensitivity } = await other.router.judge(other.router.open('t'), request, asker)
      assert.deepEqual([decision.effect, sensitivity.label], ['local', 'RESTRICTED'])
      await assert.rejects(collected(other.router.ask(other.router.open('t'), request, asker, destination)), {
        code: 'DENIED',
      })
      assert.deepEqual(other.cloud.sent, [])
      assert.equal(
        (await other.router.judge(other.router.open('t'), { messages, maxTokens }, asker)).decision.effect,
        'allow',
      )
    } finally {
      await other.close()
    }
  })

  it('goes to no model that the rules do not name', async () => {
    const session = stand.router.open('task-1')
    await assert.rejects(
      collected(stand.router.ask(session, asking('hello'), asker, { provider: 'cloud', model: 'other' })),
      { code: 'DENIED' },
    )
    assert.equal(stand.cloud.sent.length, 0)
  })

  it('follows no redirect and does not try again', async () => {
    stand.cloud.answer = (_, response) => response.writeHead(307, { location: '/elsewhere' }).end()
    await assert.rejects(ask('hello'), { code: 'MODEL_BUSY' })
    stand.cloud.answer = (_, response) => response.writeHead(503).end('anna')
    await assert.rejects(ask('hello'), (error: Error) => !error.message.includes('anna'))
    assert.equal(stand.cloud.sent.length, 2)
  })

  it('says that an answer was cut off instead of taking it for whole', async () => {
    stand.cloud.answer = (_, response) => {
      response.writeHead(200)
      response.end(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' }, finish_reason: null }] })}\n\n`)
    }
    await assert.rejects(ask('hello'), { code: 'MODEL_BUSY' })
    assert.equal(stand.trail.events.at(-1)?.facts['outcome'], 'broken off')
  })

  it('shows its keys to nobody', async () => {
    assert.ok(!JSON.stringify([stand.egress, stand.egress.models, stand.trail.events]).includes(secretKey))
    const { inspect } = await import('node:util')
    assert.ok(!inspect(stand.egress, { depth: 9, showHidden: true }).includes(secretKey))
  })
})

describe('when a part of the router fails, nothing leaves:', () => {
  let stand: Stand
  before(async () => {
    stand = await openStand()
  })
  after(() => stand.close())
  const text = 'Please answer anna@example.org'
  const refuses = async (router: Router, session = router.open('task-1')) => {
    await assert.rejects(collected(router.ask(session, asking(text), asker, destination)))
    assert.equal(stand.cloud.sent.length, 0)
  }

  for (const { name } of detectors)
    it(`the detector ${name} throws`, async () => {
      const router = new Router({
        rules: rulesWithCloud,
        egress: stand.egress,
        audit: stand.trail,
        tagger: stand.tagger,
      })
      const broken = {
        name,
        find: () => {
          throw new Error(`${name} is broken`)
        },
      }
      Object.assign(router, { settings: { ...router.settings, more: [broken] } })
      await refuses(router)
    })

  it('the vault throws', async () => {
    const session = stand.router.open('task-1')
    Object.assign(session.vault, {
      pseudonym: () => {
        throw new Error('the vault is lost')
      },
    })
    await refuses(stand.router, session)
  })

  it('the vault gives the value itself', async () => {
    const session = stand.router.open('task-1')
    Object.assign(session.vault, { pseudonym: (_: string, value: string) => value })
    await refuses(stand.router, session)
  })

  for (const what of ['record', 'intend'] as const)
    it(`the audit trail does not take what it is to ${what}`, async () => {
      stand.trail.failing = what
      await refuses(stand.router)
      stand.trail.failing = undefined
    })

  it('the tagger is gone, cannot be loaded or does not answer', async () => {
    const missing = new TaggerProcess({ folder: '/nowhere' })
    const stopped = new TaggerProcess({ answerMs: 1000 })
    await eventually(() => stopped.tag(['warm']))
    process.kill(stopped.pid ?? assert.fail('it does not run'), 'SIGSTOP')
    for (const tagger of [missing, stopped]) {
      const router = new Router({ rules: rulesWithCloud, egress: stand.egress, audit: stand.trail, tagger })
      const { decision } = await router.judge(router.open('task-1'), asking(text), asker)
      assert.deepEqual([decision.effect, decision.models], ['local', []])
      if (tagger === missing) await refuses(router)
      tagger.close()
    }
    await refuses(new Router({ rules: rulesWithCloud, egress: stand.egress, audit: stand.trail }))
  })

  it('the tagger is ended between the decision and the clearance', async () => {
    let asked = 0
    const tagger: Tagger = {
      tag: async (texts) => {
        asked += 1
        if (asked === 2) process.kill(stand.tagger.pid ?? assert.fail('it does not run'), 'SIGKILL')
        return stand.tagger.tag(texts)
      },
    }
    await refuses(new Router({ rules: rulesWithCloud, egress: stand.egress, audit: stand.trail, tagger }))
    assert.ok(asked >= 2)
  })

  it('there is no key store', async () => {
    await refuses(new Router({ rules: rulesWithCloud, audit: stand.trail, tagger: stand.tagger }))
  })
})

describe('a cloud that records every byte', () => {
  let stand: Stand
  before(async () => {
    stand = await openStand()
  })
  after(() => stand.close())
  const values = new Values(2024)
  const canaries: Record<string, () => string> = {
    email: () => values.make('email'),
    iban: () => values.make('iban'),
    card: () => values.make('card'),
    'national-id': () => values.make('ssn'),
    secret: () => secretMakers['github-token']?.(values) ?? '',
  }
  const sentence: Record<string, (value: string) => string> = {
    email: (value) => `Please draft a reply to ${value} about the meeting.`,
    iban: (value) => `The IBAN for the refund is ${value}, is it well formed?`,
    card: (value) => `My credit card ${value} was declined, what now?`,
    'national-id': (value) => `Is the SSN ${value} valid?`,
    secret: (value) => `The script uses ${value} to log in, explain it.`,
  }

  for (const [kind, make] of Object.entries(canaries))
    it(`sees no ${kind} however it is written`, async () => {
      for (const { apply } of evasions)
        for (let round = 0; round < 2; round += 1) {
          const value = make()
          const session = stand.router.open('task-1')
          stand.cloud.sent.length = 0
          const texts = apply(value, sentence[kind] ?? String)
          await collected(stand.router.ask(session, asking(...texts), asker, destination)).catch(
            (error: { code?: string }) => assert.equal(error.code, 'DENIED'),
          )
          assert.deepEqual(leaked(stand.cloud.sent.join('\n'), [value]), [], JSON.stringify(texts))
        }
    })
})

describe('the key store', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-keys-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const sealing = randomBytes(32)
  let count = 0
  const nextPath = () => join(folder, `store-${++count}`)
  const provider: Provider = { form: 'openai', url: 'https://api.example.com/v1', key: 'k-123', models: ['large'] }
  const stored = () => {
    const path = nextPath()
    new ProviderStore(path, sealing).add('frontier', provider)
    return path
  }

  it('holds who was added, for whoever has its key, until they are removed', () => {
    const path = stored()
    const store = new ProviderStore(path, sealing)
    assert.deepEqual(Egress.open(store).models, ['frontier/large'])
    assert.throws(() => store.add('frontier', provider), { code: 'USAGE' })
    store.remove('frontier')
    assert.deepEqual(Egress.open(store).models, [])
    assert.throws(() => store.remove('frontier'), { code: 'USAGE' })
  })

  it('shows nothing to who reads the file, and opens for no other key and after no change', () => {
    const path = stored()
    const bytes = readFileSync(path)
    for (const word of ['k-123', 'example', 'frontier']) assert.equal(bytes.includes(word), false)
    assert.throws(() => Egress.open(new ProviderStore(path, randomBytes(32))), { code: 'UNAUTHENTIC' })
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    writeFileSync(path, bytes)
    assert.throws(() => Egress.open(new ProviderStore(path, sealing)), { code: 'UNAUTHENTIC' })
  })

  it('seals each key by itself, for its name and address; one from before is written anew when it is read', () => {
    const path = nextPath()
    const before = sealWith(sealing, utf8(JSON.stringify({ frontier: provider })), utf8('clawmesh providers 1'))
    writeFileSync(path, before, { mode: 0o600 })
    const store = new ProviderStore(path, sealing)
    const { frontier } = Object.fromEntries(store.read())
    assert.ok(frontier && !('key' in frontier))
    assert.equal(openKey(store.unsealing, 'frontier', frontier, frontier.sealed), 'k-123')
    assert.throws(() => openKey(sealing, 'frontier', frontier, frontier.sealed), { code: 'UNAUTHENTIC' })
    for (const to of [
      { ...frontier, url: 'https://api.example.org/v1' },
      { ...frontier, form: 'anthropic' },
    ])
      assert.throws(() => openKey(store.unsealing, 'frontier', to, frontier.sealed), { code: 'UNAUTHENTIC' })
    const opened = Buffer.from(openWith(sealing, readFileSync(path), utf8('clawmesh providers 2')))
    assert.equal(opened.includes('k-123'), false)
    assert.deepEqual(Object.fromEntries(store.read()), { frontier })
  })

  it('is made for its owner alone, and refused where others can read it', () => {
    const path = stored()
    assert.equal(statSync(path).mode & 0o777, 0o600)
    for (const mode of [0o640, 0o604, 0o660]) {
      chmodSync(path, mode)
      assert.throws(() => Egress.open(new ProviderStore(path, sealing)), { code: 'DENIED' })
    }
  })

  it('that is a link is refused', () => {
    const link = join(folder, 'link')
    symlinkSync(stored(), link)
    assert.throws(() => Egress.open(new ProviderStore(link, sealing)), { code: 'USAGE' })
  })

  it('takes no plain http to another machine and no key in the address, and the message holds no key', () => {
    for (const url of [
      'http://api.example.com/v1',
      'https://user:word@api.example.com',
      'ftp://127.0.0.1',
      'http://127.0.0.1.example.com',
    ])
      assert.throws(
        () => new ProviderStore(nextPath(), sealing).add('frontier', { ...provider, url }),
        (error: Error & { code?: string }) => error.code === 'USAGE' && !error.message.includes('k-123'),
      )
  })
})

describe('choosing a model', () => {
  const here = { name: 'model-1', zone: 'mesh' as const }
  const there = { name: 'cloud/large', zone: 'elsewhere' as const }
  const decided = (effect: 'block' | 'local' | 'redact' | 'allow') => ({
    effect,
    rule: 'r',
    redact: [],
    models: ['cloud/large'],
  })

  it('keeps what the rules keep, and refuses where no model runs here', () => {
    assert.deepEqual(choose(decided('local'), [there, here]), [here])
    assert.deepEqual(choose(decided('redact'), [there, here]), [there, here])
    assert.deepEqual(choose(decided('allow'), [{ ...there, name: 'cloud/other' }, here]), [here])
    assert.throws(() => choose(decided('local'), [there]), { code: 'DENIED' })
    assert.throws(() => choose(decided('block'), [there, here]), { code: 'DENIED' })
  })
})
