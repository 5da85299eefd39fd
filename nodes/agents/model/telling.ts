import { type Answer, Draft, type GenerateEvent, type Resume } from '../../../inference/backend.js'
import { StopWords } from './stop-words.js'

/**
 * An answer on its way from a model, or from several after one another, to whoever asked.
 *
 * 1. What a model said is kept apart from what is told of it: words that end an answer hold text back, and a model that goes on must know all that was said.
 */
export class Telling {
  readonly #said = new Draft()
  readonly #told = new Draft()
  readonly #stop: StopWords | undefined
  #answer: Answer | undefined

  constructor(stop: readonly string[] = []) {
    this.#stop = stop.length > 0 ? new StopWords(stop) : undefined
  }

  /** The whole of it, once its last event is there. */
  get answer(): Answer | undefined {
    return this.#answer
  }

  /** What another model of this digest needs to go on; undefined where nothing was said, or nobody knows by which tokens. */
  resume(digest: string | undefined): Resume | undefined {
    return digest === undefined ? undefined : this.#said.resume(digest)
  }

  /** What is to be told of an event. */
  take(event: GenerateEvent): GenerateEvent[] {
    this.#said.add(event)
    const told = this.#stop ? ended(this.#stop, event) : [event]
    for (const each of told) this.#answer ??= this.#told.add(each)
    return told
  }
}

function ended(stop: StopWords, event: GenerateEvent): GenerateEvent[] {
  const { text, over } = event.type === 'token' ? stop.push(event.text) : { text: '', over: false }
  const rest = event.type === 'done' ? stop.end() : text
  return [
    ...(rest === '' ? [] : [{ type: 'token' as const, text: rest }]),
    ...(over ? [{ type: 'done' as const, reason: 'stop' as const, usage: null }] : []),
    ...(event.type === 'token' ? [] : [event]),
  ]
}
