import { ClawmeshError } from '../../policies/errors.js'
import type { OutputTensor, TensorInfo, TensorValue } from './tensor.js'

/** What a model is asked, before any server's way of saying it. */
export interface Question {
  prompt: string
  stops: readonly string[]
  /** Base64, in the order of their places in the prompt. */
  images: readonly string[]
  maxTokens: number
  temperature: number
  seed?: number | undefined
  /** Whether the server may answer in several pieces. */
  stream: boolean
}

/** One answer of a stream, as far as the dialect says. */
export interface Piece {
  text: string
  promptTokens?: number | undefined
  outputTokens?: number | undefined
  reason?: 'stop' | 'length' | undefined
}

/** How one of Triton's backends for language models names what it takes and gives. */
export interface Dialect {
  name: 'vllm' | 'tensorrt-llm' | 'tensorrt-llm-api'
  /** `pieces`: each answer carries what is new; `whole`: all text so far. */
  text: 'pieces' | 'whole'
  inputs(question: Question): Record<string, TensorValue>
  /** What ends an answer under way when it is sent with the id of its request; left out where the end of the RPC is all that is known. */
  stop?: Record<string, TensorValue>
}

/**
 * The dialect of a model, from the names of its inputs and outputs and the parameters of its configuration. Inputs that a model does not list are never sent:
 * older versions of the backends lack some. Throws MODEL_UNSUITED.
 */
export function dialectOf(
  model: string,
  inputs: readonly TensorInfo[],
  parameters: Readonly<Record<string, string>>,
): Dialect {
  const has = (name: string): boolean => inputs.some((input) => input.name === name)
  if (has('text_input') && has('sampling_parameters')) return vllm
  if (has('text_input') && has('sampling_param_max_tokens')) return tensorrtLlmApi
  if (has('text_input') && has('max_tokens'))
    return { ...tensorrtLlm, text: parameters.accumulate_tokens?.toLowerCase() === 'true' ? 'whole' : 'pieces' }
  throw new ClawmeshError(
    'MODEL_UNSUITED',
    `${model} on Triton takes ${inputs.map(({ name }) => name).join(', ') || 'nothing'}: no language model that is known here.`,
    {
      hint: 'Serve it with the vLLM backend or TensorRT-LLM, and name the model that takes text_input (ensemble or tensorrt_llm_bls), or one that takes input_ids and gives logits.',
    },
  )
}

/** vllm_backend: sampling parameters as one JSON text, counts and finish reason on demand. */
const vllm: Dialect = {
  name: 'vllm',
  text: 'pieces',
  inputs: ({ prompt, stops, images, maxTokens, temperature, seed, stream }) => ({
    text_input: prompt,
    ...(images.length > 0 ? { image: images } : {}),
    stream,
    exclude_input_in_output: true,
    return_finish_reason: true,
    return_num_input_tokens: true,
    return_num_output_tokens: true,
    sampling_parameters: JSON.stringify({
      max_tokens: maxTokens,
      temperature,
      ...(seed === undefined ? {} : { seed }),
      ...(stops.length > 0 ? { stop: stops } : {}),
    }),
  }),
}

/** TensorRT-LLM's ensemble and BLS models. A temperature of nothing is not taken by all of their versions; one candidate comes to the same. */
const tensorrtLlm: Dialect = {
  name: 'tensorrt-llm',
  text: 'pieces',
  inputs: ({ prompt, stops, maxTokens, temperature, seed, stream }) => ({
    text_input: prompt,
    max_tokens: maxTokens,
    stream,
    exclude_input_in_output: true,
    return_num_input_tokens: true,
    return_num_output_tokens: true,
    ...(temperature === 0 ? { top_k: 1 } : { temperature }),
    // The ensemble's name, then that of newer ones.
    ...(seed === undefined ? {} : { random_seed: seed, seed }),
    ...(stops.length > 0 ? { stop_words: stops } : {}),
  }),
}

/** TensorRT-LLM's LLM API: each answer of a stream repeats the text so far; nothing is counted. It looks for cancelled RPCs every 100 ms, and hears `stop` at once. */
const tensorrtLlmApi: Dialect = {
  name: 'tensorrt-llm-api',
  text: 'whole',
  inputs: ({ prompt, stops, maxTokens, temperature, seed, stream }) => ({
    text_input: prompt,
    streaming: stream,
    return_finish_reason: true,
    sampling_param_max_tokens: maxTokens,
    sampling_param_exclude_input_from_output: true,
    ...(temperature === 0 ? { sampling_param_top_k: 1 } : { sampling_param_temperature: temperature }),
    ...(seed === undefined ? {} : { sampling_param_seed: seed }),
    ...(stops.length > 0 ? { sampling_param_stop: stops } : {}),
  }),
  // The prompt is not optional there, and is not read.
  stop: { text_input: '', stop: true },
}

/** What the tensors of one answer say; the dialects agree on the names. */
export function readPiece(outputs: readonly OutputTensor[]): Piece {
  const first = (name: string): string | number | undefined => outputs.find((output) => output.name === name)?.values[0]
  const count = (name: string): number | undefined => {
    const value = first(name)
    // What can be no count is as if it had said nothing: a bill goes by it.
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
  }
  const reason = first('finish_reason')
  return {
    text: String(first('text_output') ?? ''),
    promptTokens: count('num_input_tokens'),
    outputTokens: count('num_output_tokens'),
    // vLLM writes Python's None while it goes on.
    reason: reason === 'stop' || reason === 'length' ? reason : undefined,
  }
}
