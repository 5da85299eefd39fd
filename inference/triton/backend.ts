import { ClawmeshError } from '../../policies/errors.js'
import type { Backend } from '../backend.js'
import { parseTritonUrl } from './address.js'
import { type Deadlines, TritonClient } from './client.js'
import { PlainBackend } from './plain.js'
import { findServed, giveBack, isPlain, type Served } from './served.js'
import { TextBackend } from './text.js'

export interface TritonOptions {
  /** On this machine: grpc://127.0.0.1:8001/MODEL?chat=FORMAT, or ?tokenizer=/FOLDER for a model that takes token ids and gives logits. */
  url: string
  /** Answers under way at once, and most that wait behind them: 64. One more is refused. */
  slots?: number
  queue?: number
  deadlines?: Deadlines
  /** Most milliseconds that a load may take. */
  loadMs?: number
}

/**
 * A language model on a Triton server on this machine. One that was named and is not loaded is loaded, and unloaded in the end. Throws DENIED for a server elsewhere, USAGE for a URL that is none,
 * MODEL_UNSUITED for a model that is not there or no language model, MEMORY_FULL, MODEL_BUSY, MODEL_BROKEN for a folder that is none.
 */
export async function openTriton(options: TritonOptions): Promise<Backend> {
  const { url, slots, queue = 64, loadMs, deadlines = { silence: 120_000, total: 900_000 } } = options
  const { target, model, chat, tokenizer } = parseTritonUrl(url)
  const client = new TritonClient(target)
  let borrowed: string | undefined
  try {
    const served = await findServed(client, model, loadMs)
    if (served.borrowed) borrowed = served.name
    if (!isPlain(served)) {
      const backend = await TextBackend.open(client, served, chat, { slots, queue, deadlines })
      refuseUnused(served, { tokenizer })
      return backend
    }
    refuseUnused(served, { chat })
    const backend = await PlainBackend.open(target, served, tokenizer, { slots, queue, deadlines })
    // It has a connection of its own, for larger answers.
    client.close()
    return backend
  } catch (thrown) {
    if (borrowed !== undefined) await giveBack(client, borrowed)
    client.close()
    throw thrown
  }
}

/** What a person said of a model that it has no use for, they took it for another. */
function refuseUnused({ name }: Served, said: Readonly<Record<string, string | undefined>>): void {
  for (const [key, value] of Object.entries(said))
    if (value !== undefined)
      throw new ClawmeshError('USAGE', `${name} on Triton has no use for ?${key}=${value}.`, {
        hint: 'A model that takes text is told its chat format (?chat=), one that takes token ids the folder of its tokenizer (?tokenizer=).',
      })
}
