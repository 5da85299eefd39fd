/** Tool calls as providers stream them: in pieces, the arguments as JSON that is whole only at the end. */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'

export interface CallPiece {
  /** Pieces of one call have one index. */
  readonly index: number
  readonly name?: string
  readonly arguments?: string
}

export interface ModelCall {
  readonly name: string
  readonly arguments: Record<string, unknown>
}

const argumentsSchema = z.record(z.string(), z.unknown())

/** Puts the pieces together. Calls come out in the order in which they began. */
export class CallPieces {
  readonly #calls = new Map<number, { name: string; json: string }>()

  add(pieces: readonly CallPiece[] = []): void {
    for (const { index, name = '', arguments: json = '' } of pieces) {
      const call = this.#calls.get(index) ?? { name: '', json: '' }
      this.#calls.set(index, { name: call.name + name, json: call.json + json })
    }
  }

  /** @throws ClawmeshError MODEL_FAILED for arguments that are no JSON object */
  end(): ModelCall[] {
    return [...this.#calls.values()].map(({ name, json }) => {
      const read = argumentsSchema.safeParse(jsonOf(json))
      if (read.success) return { name, arguments: read.data }
      throw new ClawmeshError('MODEL_FAILED', 'A model elsewhere called a tool with arguments that cannot be read.', {
        hint: 'Ask again.',
        data: { unusable: true },
      })
    })
  }
}

function jsonOf(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text)
  } catch {
    return undefined
  }
}
