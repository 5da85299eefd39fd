/**
 * The process that holds one model. Its `run()` blocks the thread that it is on, so it has one to itself; it reads nothing
 * but the model's folder, speaks only with the process that started it, and ends when that one does.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { Vocabulary } from '../constrain/vocabulary.js'
import { broken, openModel } from '../models.js'
import { readConfig } from './config.js'
import { Graph } from './graph.js'
import { measureSpeed } from './measure.js'
import type { FromChild, LoadTimes, ToChild, WireError } from './protocol.js'
import { Scheduler } from './scheduler.js'
import { type Loaded, Sequence } from './sequence.js'
import { Text } from './text.js'

let host: { loaded: Loaded; scheduler: Scheduler } | undefined

// Ctrl-C reaches the whole group: the node drains first, and then lets go of this process.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToChild) => {
  if (message.type === 'load') void load(message)
  else if (message.type === 'cancel') host?.scheduler.cancel(message.id)
  else generate(message)
})

async function load({ folder, slots, queue, threads }: ToChild & { type: 'load' }): Promise<void> {
  try {
    const modules = performance.now()
    const model = await openModel(folder)
    const verified = performance.now()
    const config = readConfig(model)
    const text = new Text(model)
    const vocabulary = Vocabulary.byteLevel(config.shape.vocabulary, (id) => text.spelling(id), text.special)
    const ready = performance.now()
    const graph = await Graph.load(model.bytes('model.onnx'), config.shape, threads).catch((cause: unknown) => {
      throw broken(folder, 'model.onnx', `onnxruntime does not load it (${messageOf(cause)})`, cause)
    })
    host = { loaded: { config, text, vocabulary, graph }, scheduler: new Scheduler(slots, queue) }
    const loadedAt = performance.now()
    const speed = await measureSpeed(graph, config.shape.context).catch((cause: unknown) => {
      throw broken(folder, 'model.onnx', `its graph cannot be computed (${messageOf(cause)})`, cause)
    })
    const times: LoadTimes = {
      modules,
      verify: verified - modules,
      text: ready - verified,
      session: loadedAt - ready,
      speed: performance.now() - loadedAt,
    }
    send({ type: 'loaded', model: { ...config.info, digest: model.digest }, times, speed })
  } catch (thrown) {
    send({ type: 'broken', error: toWire(thrown, 'MODEL_BROKEN') })
  }
}

function generate({ id, request }: ToChild & { type: 'generate' }): void {
  const fail = (thrown: unknown): void => send({ type: 'failed', id, error: toWire(thrown, 'MODEL_FAILED') })
  try {
    if (!host) throw new ClawmeshError('MODEL_FAILED', 'The model is not loaded.', { hint: 'Load it first.' })
    const { loaded, scheduler } = host
    // Asked before the prompt is made ready: a full queue must be cheap to refuse.
    scheduler.refuseWhenFull()
    scheduler.submit(id, new Sequence(loaded, request, (event) => send({ type: 'event', id, event })), fail)
  } catch (thrown) {
    fail(thrown)
  }
}

function send(message: FromChild): void {
  // Once the other side is gone, 'disconnect' ends this process; what it did not read matters to nobody.
  if (process.connected) process.send?.(message, undefined, {}, () => {})
}

function toWire(thrown: unknown, code: 'MODEL_BROKEN' | 'MODEL_FAILED'): WireError {
  const error =
    thrown instanceof ClawmeshError ? thrown : new ClawmeshError(code, messageOf(thrown), { hint: 'Ask again.' })
  return { code: error.code, message: error.message, hint: error.hint, data: error.data }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
