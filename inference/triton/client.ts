import { Client, type ClientReadableStream, credentials, Metadata } from '@grpc/grpc-js'
import type { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { cancelled } from '../backend.js'
import { rpcFailure, streamFailure } from './failure.js'
import { type InferRequest, type InferResponse, method, replies, streamResponseSchema, type Unary } from './protocol.js'

/** How long a server may take, in milliseconds. */
export interface Deadlines {
  /** Until the first answer of a stream, and from one to the next. */
  silence: number
  /** For the whole stream. */
  total: number
}

/** How long a stream may stay open behind its final response before it is cut. */
const endsWithinMs = 1000

/** A connection to a Triton server. Errors are ClawmeshErrors. */
export class TritonClient {
  readonly target: string
  private readonly client: Client
  /** Streams that have said all and have not come to their end. */
  private readonly ending = new Set<Promise<void>>()

  /** `mostBytes`: of one answer; four million, if left out. */
  constructor(target: string, mostBytes?: number) {
    this.target = target
    this.client = new Client(target, credentials.createInsecure(), {
      // A proxy that the environment names would carry prompts off this machine.
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      // A server that was started anew is found at once.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      ...(mostBytes === undefined ? {} : { 'grpc.max_receive_message_length': mostBytes }),
    })
  }

  /** One question, one answer, within `ms`. Throws CANCELLED, DEADLINE, and what the server's errors mean. */
  async ask<N extends Unary>(
    name: N,
    request: object,
    ms: number,
    signal?: AbortSignal,
  ): Promise<z.output<(typeof replies)[N]>> {
    const { path, requestSerialize, responseDeserialize } = method(name)
    if (signal?.aborted) throw cancelled()
    let cancel = (): void => {}
    const reply = await new Promise<unknown>((resolve, reject) => {
      const options = { deadline: Date.now() + ms }
      const call = this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        options,
        (error, value) => (error ? reject(rpcFailure(error, this.target)) : resolve(value)),
      )
      cancel = () => {
        reject(cancelled())
        call.cancel()
      }
      signal?.addEventListener('abort', cancel)
    }).finally(() => signal?.removeEventListener('abort', cancel))
    const parsed = replies[name].safeParse(reply)
    if (parsed.success) return parsed.data as z.output<(typeof replies)[N]>
    throw streamFailure(`${name} of an unknown form`, this.target, parsed.error)
  }

  /**
   * The answers to one request, on a stream of its own. Leaving the loop cancels the RPC, and with it the work of the server; behind the final response there is no work, and
   * the RPC is left to end by itself. Throws CANCELLED, DEADLINE, and what the server's errors mean, whether they end the RPC or stand in the stream.
   */
  async *stream(request: InferRequest, deadlines: Deadlines, signal?: AbortSignal): AsyncIterable<InferResponse> {
    const { path, requestSerialize, responseDeserialize } = method('ModelStreamInfer')
    if (signal?.aborted) throw cancelled()
    const call = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    let why: ClawmeshError | undefined
    const stop = (reason: ClawmeshError): void => {
      why ??= reason
      call.cancel()
    }
    const cancel = (): void => stop(cancelled())
    signal?.addEventListener('abort', cancel)
    const total = setTimeout(() => stop(this.late('did not finish', deadlines.total)), deadlines.total)
    // What ends the call comes out of the iterator; a cancelled call's own error has no reader any more.
    call.on('error', () => {})
    const status = new Promise<void>((resolve) => call.once('status', () => resolve()))
    call.write(request)
    call.end()
    let isFinal = false
    try {
      const answers = call[Symbol.asyncIterator]()
      for (;;) {
        const silence = setTimeout(() => stop(this.late('said nothing', deadlines.silence)), deadlines.silence)
        const { done, value } = await answers.next().finally(() => clearTimeout(silence))
        if (why) throw why
        if (done) return
        const answer = this.parse(value)
        isFinal = answer.parameters.triton_final_response?.bool_param === true
        yield answer
      }
    } catch (thrown) {
      throw why ?? rpcFailure(thrown, this.target)
    } finally {
      clearTimeout(total)
      signal?.removeEventListener('abort', cancel)
      if (isFinal && !why) this.leaveToEnd(call, status)
      else call.cancel()
    }
  }

  /** Resolves when no stream is open any more that has said all, within a second. */
  async ended(): Promise<void> {
    await Promise.all(this.ending)
  }

  /**
   * A Triton whose stream is cancelled just as it has answered may forget to let go of the model: that can then be unloaded no more. (Seen once in some 40 answers.)
   */
  private leaveToEnd(call: Pick<ClientReadableStream<unknown>, 'cancel' | 'resume'>, status: Promise<void>): void {
    const over = new Promise<void>((resolve) => {
      const cut = setTimeout(() => {
        call.cancel()
        resolve()
      }, endsWithinMs)
      void status.then(() => {
        clearTimeout(cut)
        resolve()
      })
    })
    this.ending.add(over)
    void over.then(() => this.ending.delete(over))
    // Its end is behind whatever was not read.
    call.resume()
  }

  close(): void {
    this.client.close()
  }

  private parse(value: unknown): InferResponse {
    const { data, error } = streamResponseSchema.safeParse(value)
    if (!data) throw streamFailure('an answer of an unknown form', this.target, error)
    if (data.error_message !== '') throw streamFailure(data.error_message, this.target)
    if (!data.infer_response) throw streamFailure('an answer without content', this.target)
    return data.infer_response
  }

  private late(what: string, ms: number): ClawmeshError {
    return new ClawmeshError('DEADLINE', `Triton at ${this.target} ${what} for ${ms} ms.`, {
      hint: 'It may be loading the model or be overloaded: look at it, and ask again.',
    })
  }
}
