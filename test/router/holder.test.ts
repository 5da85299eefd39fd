/** The process that holds the keys, a real one, with a provider on this machine that records: what it sends, what it refuses, and how it ends. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import type { ClawmeshError } from '../../policies/errors.js'
import { type Channel, plainly } from '../../router/egress/channel.js'
import { encodeFrame, type Frame, FrameReader, frameKinds, jsonBody } from '../../router/egress/frame.js'
import { Holder, holderModule } from '../../router/egress/holder.js'
import { newTokenKey, type Token, TokenMint } from '../../router/egress/token.js'
import { isUnanswered } from '../../router/egress/unanswered.js'
import type { Delta } from '../../router/provider/form.js'
import { ProviderStore, type Providers } from '../../router/provider/store.js'
import { childrenOf } from '../kit/children.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { type Cloud, openCloud, streamChunks } from './cloud.js'

const never = new AbortController().signal
const large = { provider: 'cloud', model: 'large' }

describe('the process that holds the keys', () => {
  const undo: (() => unknown)[] = []
  let cloud: Cloud
  let path: string
  const sealing = randomBytes(32)
  const key = `k-${randomBytes(16).toString('hex')}`
  const storeOf = () => new ProviderStore(path, sealing)

  beforeEach(async () => {
    const folder = temporaryFolder()
    undo.push(() => rmSync(folder, { recursive: true, force: true }))
    cloud = await openCloud()
    undo.push(() => cloud.close())
    path = join(folder, 'providers.sealed')
    storeOf().add('cloud', { form: 'openai', url: cloud.url, key, models: ['large', 'small'] })
  })
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  /** Beside it, the channels of the processes that it started, the last one last. */
  function holding(options: { providers?: Providers; provedMs?: number } = {}): {
    holder: Holder
    channels: Channel[]
  } {
    const channels: Channel[] = []
    const start = async (program: Parameters<ReturnType<typeof plainly>>[0]) => {
      const channel = await plainly()(program)
      channels.push(channel)
      return channel
    }
    const holder = new Holder({ start, providers: storeOf().read(), unsealing: storeOf().unsealing, ...options })
    undo.push(() => holder.close())
    return { holder, channels }
  }

  const bodyOf = (text: string) => Buffer.from(JSON.stringify({ text }))
  async function textOf(answer: AsyncIterable<Delta>): Promise<string> {
    let text = ''
    for await (const delta of answer) text += delta.text ?? ''
    return text
  }
  const children = () => childrenOf(process.pid)

  it('sends a body with a token for it, once; not altered, not again, not elsewhere, and not with the token of another', async () => {
    const { input, output, stop } = await plainly()({ module: holderModule, urls: [] })
    undo.push(stop)
    const reader = new FrameReader()
    const heard: Frame[] = []
    output.on('data', (piece: Buffer) => heard.push(...reader.read(piece)))
    const tokenKey = newTokenKey()
    const opening = {
      tokenKey: tokenKey.toString('base64'),
      unsealing: Buffer.from(storeOf().unsealing).toString('base64'),
      providers: Object.fromEntries(storeOf().read()),
    }
    input.write(encodeFrame(frameKinds.opening, 0, jsonBody(opening)))
    let id = 0
    const ask = async (token: Partial<Token>, body: Buffer): Promise<string> => {
      id += 1
      input.write(encodeFrame(frameKinds.ask, id, jsonBody(token), Buffer.from('\n'), body))
      const last = () =>
        heard.find((frame) => frame.id === id && (frame.kind === frameKinds.end || frame.kind === frameKinds.failed))
      await eventually(() => assert.ok(last()))
      return last()?.kind === frameKinds.end ? 'sent' : JSON.parse(String(last()?.body)).code
    }
    const mint = new TokenMint(tokenKey)
    const body = bodyOf('hello')
    const first = mint.mint(large, body)
    const second = mint.mint(large, body)
    const ofAnother = new TokenMint(newTokenKey()).mint(large, body)
    assert.equal(await ask(first, bodyOf('hello!')), 'DENIED', 'another body')
    assert.equal(await ask({ ...first, model: 'small' }, body), 'DENIED', 'another model')
    assert.equal(await ask({ ...first, number: 7 }, body), 'DENIED', 'another number')
    assert.equal(await ask({ ...first, mac: first.mac.slice(4) }, body), 'DENIED', 'a part of a MAC')
    assert.equal(await ask(ofAnother, body), 'DENIED', 'a token of another process')
    assert.equal(await ask({}, body), 'MODEL_FAILED', 'none')
    assert.equal(cloud.sent.length, 0)
    assert.equal(await ask(second, body), 'sent')
    assert.equal(await ask(second, body), 'DENIED', 'the same again')
    assert.equal(await ask(first, body), 'DENIED', 'one from before it')
    const unknown = mint.mint({ provider: 'cloud', model: 'huge' }, body)
    assert.equal(await ask(unknown, body), 'UNREACHABLE', 'a model that it does not have')
    assert.equal(cloud.sent.length, 1)
  })

  it('alone has the keys, in no arguments and no environment, and ends with the one that asks, which never had them in memory', async () => {
    const asking = program()
    undo.push(() => asking.kill('SIGKILL'))
    await firstLine(asking)
    const [holder = 0] = childrenOf(asking.pid ?? 0)
    assert.ok(cloud.sent[0]?.includes(`Bearer ${key}`))
    assert.equal(memoryHolds(holder, key), true, 'where it is, it is found')
    assert.equal(memoryHolds(asking.pid ?? 0, key), false)
    assert.equal(readFileSync(`/proc/${holder}/environ`, 'latin1'), '')
    assert.equal(readFileSync(`/proc/${holder}/cmdline`, 'latin1'), `${process.execPath}\0${holderModule}\0`)
    asking.kill('SIGKILL')
    await eventually(() => assert.equal(isThere(holder), false))
  })

  it('that is killed in the middle fails what it was asked as broken off, asks nothing again, and is started for the next', async () => {
    const { holder } = holding()
    cloud.answer = (_, response) => {
      response.writeHead(200)
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`)
    }
    const before = children()
    const answer = holder.ask(large, bodyOf('hello'), never)
    assert.deepEqual((await answer.next()).value, { text: 'half' })
    const [pid = 0] = children().filter((each) => !before.includes(each))
    process.kill(pid, 'SIGKILL')
    await assert.rejects(answer.next(), (error: ClawmeshError) => {
      assert.deepEqual([error.code, isUnanswered(error)], ['MODEL_BUSY', false])
      assert.match(error.message, /cloud broke off in the middle of its answer/)
      return true
    })
    assert.equal(cloud.sent.length, 1)
    cloud.answer = (_, response) => streamChunks(response, ['whole'])
    assert.equal(await textOf(holder.ask(large, bodyOf('again'), never)), 'whole')
    assert.equal(cloud.sent.length, 2)
  })

  it('that is lost to several questions is replaced once: its successor is not left behind', async () => {
    const { holder, channels } = holding({ provedMs: 0 })
    cloud.answer = (_, response) => {
      response.writeHead(200)
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`)
    }
    const [soon, late] = ['soon', 'late'].map((text) => holder.ask(large, bodyOf(text), never))
    for (const each of [soon, late]) await each?.next()
    channels[0]?.stop()
    await assert.rejects(async () => soon?.next(), { code: 'MODEL_BUSY' })
    await holder.ready()
    await assert.rejects(async () => late?.next(), { code: 'MODEL_BUSY' })
    await holder.ready()
    assert.equal(channels.length, 2)
  })

  it('that cannot be started has asked nobody, and says so', async () => {
    const start = () => Promise.reject(new Error('no room'))
    const holder = new Holder({ start, providers: storeOf().read(), unsealing: storeOf().unsealing })
    await assert.rejects(holder.ask(large, bodyOf('hello'), never).next(), (error: ClawmeshError) => {
      assert.deepEqual([error.code, isUnanswered(error)], ['MODEL_BUSY', true])
      return /is not there, no room/.test(error.message)
    })
    const closed = await openCloud()
    await closed.close()
    storeOf().add('gone', { form: 'openai', url: closed.url, key, models: ['large'] })
    const lost = holding().holder.ask({ provider: 'gone', model: 'large' }, bodyOf('hello'), never)
    await assert.rejects(lost.next(), (error: ClawmeshError) => error.code === 'MODEL_BUSY' && isUnanswered(error))
  })

  it('opens a key for its provider alone: one that was moved to another address is not sent there', async () => {
    const other = await openCloud()
    undo.push(() => other.close())
    const moved = new Map([...storeOf().read()].map(([name, each]) => [name, { ...each, url: other.url }]))
    await assert.rejects(holding({ providers: moved }).holder.ask(large, bodyOf('hello'), never).next(), {
      code: 'MODEL_BUSY',
    })
    assert.equal(other.sent.length, 0)
  })

  it('gives up with the one that asks, and the provider hears of it', async () => {
    const { holder } = holding()
    const replies: ServerResponse[] = []
    cloud.answer = (_, response) => {
      replies.push(response)
      response.writeHead(200)
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`)
    }
    const stop = new AbortController()
    const signalled = holder.ask(large, bodyOf('hello'), stop.signal)
    await signalled.next()
    stop.abort()
    await assert.rejects(signalled.next(), { code: 'CANCELLED' })
    const left = holder.ask(large, bodyOf('hello'), never)
    await left.next()
    await left.return(undefined)
    await eventually(() =>
      assert.deepEqual(
        replies.map(({ destroyed }) => destroyed),
        [true, true],
      ),
    )
  })

  it('reads an answer no faster than it is taken, and loses nothing of it', async () => {
    const { holder } = holding()
    const piece = `data: ${JSON.stringify({ choices: [{ delta: { content: 'x'.repeat(16_384) } }] })}\n\n`
    const pieces = 1500
    let written = 0
    cloud.answer = (_, response) => {
      const more = () => {
        while (written < pieces) {
          written += 1
          if (!response.write(piece)) return void response.once('drain', more)
        }
        response.end('data: [DONE]\n\n')
      }
      more()
    }
    const answer = holder.ask(large, bodyOf('hello'), never)
    let length = (await answer.next()).value?.text?.length ?? 0
    let [seen, looks] = [-1, 0]
    await eventually(() => {
      looks = seen === written ? looks + 1 : 0
      seen = written
      assert.ok(looks > 20)
    })
    assert.ok(written < pieces, `${written} of ${pieces} pieces were read, and one was taken`)
    for await (const { text = '' } of answer) length += text.length
    assert.equal(length, pieces * 16_384)
  })

  function program(): ChildProcess {
    const module = join(installation, 'dist', 'test', 'nodes', 'keys', 'program.js')
    const args = [module, path, sealing.toString('hex'), 'plain', 'hello']
    return spawn(process.execPath, args, { env: {}, stdio: ['pipe', 'pipe', 'inherit'] })
  }
})

const firstLine = async ({ stdout }: ChildProcess): Promise<string> =>
  String((await once(stdout ?? process.stdin, 'data'))[0])

function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Whether a text stands anywhere in what a process can write to. */
function memoryHolds(pid: number, text: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const wanted = Buffer.from(text)
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
        return to === '' ? [] : [[Number.parseInt(from, 16), Number.parseInt(to, 16)] as const]
      })
      .some(([from, to]) => {
        const bytes = Buffer.allocUnsafe(to - from)
        try {
          return bytes.subarray(0, readSync(memory, bytes, 0, bytes.length, from)).includes(wanted)
        } catch {
          return false
        }
      })
  } finally {
    closeSync(memory)
  }
}
