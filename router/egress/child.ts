/**
 * The process that holds the keys. What it is to know comes first on its standard input: no key is in its arguments, its environment or a file that it reads. It
 * sends what it is given with a token for these bytes, to the provider that the token names, and ends when the one that started it is gone.
 *
 *   1. Without a token of this process's own key that holds for the body and was not used, nothing is sent.
 *   2. Of an answer no more than `windowBytes` waits outside: who takes it slowly slows the provider.
 */
import { once } from 'node:events'
import { ClawmeshError } from '../../policies/errors.js'
import { openKey } from '../provider/sealed-key.js'
import type { Provider } from '../provider/store.js'
import { encodeFrame, type Frame, type FrameKind, FrameReader, frameKinds, jsonBody, splitLine } from './frame.js'
import { type Failure, openingSchema, windowBytes } from './protocol.js'
import { sendTo } from './sender.js'
import { TokenCheck, tokenSchema } from './token.js'
import { isUnanswered } from './unanswered.js'
import { Window } from './window.js'

interface Opened {
  readonly tokens: TokenCheck
  readonly providers: ReadonlyMap<string, Provider>
}

interface Asked {
  readonly ending: AbortController
  readonly window: Window
}

let opened: Opened | undefined
const asked = new Map<number, Asked>()
const frames = new FrameReader()

// Ctrl-C in a terminal is for the one that started it.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
process.stdin.on('data', (piece: Buffer) => {
  for (const frame of frames.read(piece)) take(frame)
})
process.stdin.on('end', () => process.exit(0))
process.stdout.on('error', () => process.exit(0))

function take({ kind, id, body }: Frame): void {
  if (kind === frameKinds.opening && !opened) open(body)
  else if (kind === frameKinds.ask) void answer(id, body)
  else if (kind === frameKinds.cancel) asked.get(id)?.ending.abort()
  else if (kind === frameKinds.taken) asked.get(id)?.window.taken(Number(body.toString()))
}

function open(body: Buffer): void {
  const { tokenKey, unsealing, providers } = openingSchema.parse(JSON.parse(body.toString()))
  const sealing = Buffer.from(unsealing, 'base64')
  const keyed = Object.entries(providers).map(
    ([name, { sealed, ...provider }]) =>
      [name, { ...provider, key: openKey(sealing, name, provider, sealed) }] as const,
  )
  opened = { tokens: new TokenCheck(Buffer.from(tokenKey, 'base64')), providers: new Map(keyed) }
  void say(frameKinds.ready, 0)
}

async function answer(id: number, body: Buffer): Promise<void> {
  const ending = new AbortController()
  const window = new Window(windowBytes, ending.signal)
  asked.set(id, { ending, window })
  try {
    const { line, rest } = splitLine(body)
    const { name, provider } = destinationOf(tokenSchema.parse(JSON.parse(line.toString())), rest)
    for await (const delta of sendTo(name, provider, rest, ending.signal)) {
      const json = jsonBody(delta)
      await window.room()
      window.sent(json.length)
      await say(frameKinds.delta, id, json)
    }
    await say(frameKinds.end, id)
  } catch (error) {
    await say(frameKinds.failed, id, jsonBody(failureOf(error)))
  } finally {
    asked.delete(id)
  }
}

/** Throws DENIED, and UNREACHABLE for a model that this provider does not have. */
function destinationOf(token: Parameters<TokenCheck['check']>[0], body: Uint8Array) {
  if (!opened) throw new ClawmeshError('DENIED', 'The process that holds the keys has none yet.')
  const { provider: name, model } = opened.tokens.check(token, body)
  const provider = opened.providers.get(name)
  if (provider?.models.includes(model)) return { name, provider }
  throw new ClawmeshError('UNREACHABLE', `There is no model ${name}/${model} in the key store.`, {
    hint: '`clawmesh models provider list` says which there are.',
  })
}

const codes = ['MODEL_BUSY', 'MODEL_FAILED', 'CANCELLED', 'DENIED', 'UNREACHABLE'] as const

/** The words of anything unforeseen may hold a header, and so a key: they stay here. */
function failureOf(thrown: unknown): Failure {
  const error = ClawmeshError.from(thrown)
  const code = codes.find((each) => each === error.code)
  if (!code) return { code: 'MODEL_FAILED', message: 'A model elsewhere could not be asked.', unanswered: false }
  const { message, hint } = error
  const cause = causeOf(error)
  return { code, message, unanswered: isUnanswered(error), ...(hint && { hint }), ...(cause && { cause }) }
}

/** What undici found wrong, by its code alone. */
function causeOf({ cause }: Error): string | undefined {
  const { cause: own } = cause instanceof Error ? cause : {}
  return own instanceof Error && 'code' in own ? String(own.code) : undefined
}

process.stdout.setMaxListeners(0)
let isGathering = false

/** What is said in one breath goes out at once. Resolves when more may be said. */
async function say(kind: FrameKind, id: number, ...bodies: Uint8Array[]): Promise<void> {
  const { stdout } = process
  if (!isGathering) {
    isGathering = true
    stdout.cork()
    process.nextTick(() => {
      isGathering = false
      stdout.uncork()
    })
  }
  if (!stdout.write(encodeFrame(kind, id, ...bodies))) await once(stdout, 'drain')
}
