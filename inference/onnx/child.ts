/**
 * The process that holds one model. Its `run()` blocks the thread that it is on, so it has one to itself; it reads nothing
 * but the model's folder, speaks only with the process that started it, and ends when that one does.
 */
import { basename } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'
import { broken, openModel } from '../models.js'
import { Graph } from './graph.js'
import { measureSpeed, warmUp } from './measure.js'
import { isOutOfMemory } from './memory.js'
import type { FromChild, LoadOrder, LoadTimes, News, ToChild, WireError } from './protocol.js'
import { Scheduler } from './scheduler.js'
import { Sequence } from './sequence.js'
import { type Loaded, readLoaded } from './writer.js'

let host: { loaded: Loaded; scheduler: Scheduler } | undefined
/** What the step under way has to tell. */
let news: News[] = []

// Ctrl-C reaches the whole group: the node drains first, and then lets go of this process.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToChild) => {
  if (message.type === 'load') void load(message)
  else if (message.type === 'cancel') host?.scheduler.cancel(message.id)
  else if (message.type === 'generate') generate(message)
  else if (host) send({ type: 'stats', stats: host.scheduler.stats() })
})

async function load(order: LoadOrder): Promise<void> {
  try {
    const { folder, slots, threads } = order
    const modules = performance.now()
    const model = await openModel(folder)
    const verified = performance.now()
    const loaded = readLoaded(model)
    const { config } = loaded
    const ready = performance.now()
    const outside = model.paths
      .filter((path) => /\.onnx[._]data(_\d+)?$/.test(path))
      .map((path) => ({ path: basename(path), data: model.bytes(path) }))
    const graph = await Graph.load(model.bytes('model.onnx'), config.shape, threads, outside).catch(
      (cause: unknown) => {
        throw broken(folder, 'model.onnx', `onnxruntime does not load it (${messageOf(cause)})`, cause)
      },
    )
    const created = performance.now()
    await warmUp(graph, config.shape).catch((cause: unknown) => {
      throw broken(folder, 'model.onnx', `its graph cannot be computed (${messageOf(cause)})`, cause)
    })
    const times: LoadTimes = {
      modules,
      verify: verified - modules,
      text: ready - verified,
      session: created - ready,
      first: performance.now() - created,
    }
    const scheduler = new Scheduler(graph, config.shape, { ...order, afterStep: tell })
    host = { loaded, scheduler }
    send({ type: 'loaded', model: { ...config.info, digest: model.digest }, times })
    send({ type: 'measured', speed: await measureSpeed(graph, config.shape, slots, scheduler) })
  } catch (thrown) {
    send({ type: 'broken', error: toWire(thrown, 'MODEL_BROKEN') })
  }
}

function generate({ id, request }: ToChild & { type: 'generate' }): void {
  const fail = (thrown: unknown): void => void news.push({ id, error: toWire(thrown, 'MODEL_FAILED') })
  try {
    if (!host) throw new ClawmeshError('MODEL_FAILED', 'The model is not loaded.', { hint: 'Load it first.' })
    const { loaded, scheduler } = host
    // Asked before the prompt is made ready: a full queue must be cheap to refuse.
    scheduler.refuseWhenFull()
    scheduler.submit(id, new Sequence(loaded, request, (event) => news.push({ id, event })), fail)
  } catch (thrown) {
    fail(thrown)
    tell()
  }
}

function tell(): void {
  if (news.length > 0) send({ type: 'news', news })
  news = []
}

function send(message: FromChild): void {
  // Once the other side is gone, 'disconnect' ends this process; what it did not read matters to nobody.
  if (process.connected) process.send?.(message, undefined, {}, () => {})
}

function toWire(thrown: unknown, code: 'MODEL_BROKEN' | 'MODEL_FAILED'): WireError {
  const error = isOutOfMemory(thrown)
    ? memoryFull(messageOf(thrown))
    : thrown instanceof ClawmeshError
      ? thrown
      : new ClawmeshError(code, messageOf(thrown), { hint: 'Ask again.' })
  return { code: error.code, message: error.message, hint: error.hint, data: error.data }
}

function memoryFull(words: string): ClawmeshError {
  return new ClawmeshError('MEMORY_FULL', `The model ran out of memory: ${words}`, {
    hint: 'Free some memory on its machine, or use a smaller model, or one of fewer bits.',
  })
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
