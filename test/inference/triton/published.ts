import type { TensorInfo } from '../../../inference/triton/tensor.js'

/** Inputs and outputs of Triton's backends for language models, as far as they matter here, from their published configurations. */

const tensors = (rows: readonly string[]): TensorInfo[] =>
  rows.map((row) => {
    const [name = '', datatype = '', shape = '1'] = row.split(' ')
    return { name, datatype, shape: shape.split(',').map(Number) }
  })

/** vllm_backend, src/model.py: no batch dimension. */
export const vllm = {
  inputs: tensors([
    'text_input BYTES 1',
    'image BYTES -1',
    'stream BOOL 1',
    'sampling_parameters BYTES 1',
    'exclude_input_in_output BOOL 1',
    'return_finish_reason BOOL 1',
    'return_cumulative_logprob BOOL 1',
    'return_logprobs BOOL 1',
    'return_num_input_tokens BOOL 1',
    'return_num_output_tokens BOOL 1',
  ]),
  outputs: tensors([
    'text_output BYTES -1',
    'finish_reason BYTES -1',
    'num_input_tokens UINT32 1',
    'num_output_tokens UINT32 -1',
  ]),
}

/** TensorRT-LLM, inflight_batcher_llm/tensorrt_llm_bls/config.pbtxt, with a batch dimension. */
export const bls = {
  inputs: tensors([
    'text_input BYTES -1,1',
    'max_tokens INT32 -1,1',
    'bad_words BYTES -1,-1',
    'stop_words BYTES -1,-1',
    'exclude_input_in_output BOOL -1,1',
    'end_id INT32 -1,1',
    'top_k INT32 -1,1',
    'top_p FP32 -1,1',
    'temperature FP32 -1,1',
    'seed UINT64 -1,1',
    'stream BOOL -1,1',
    'return_num_input_tokens BOOL -1,1',
    'return_num_output_tokens BOOL -1,1',
  ]),
  outputs: tensors(['text_output BYTES -1,-1', 'num_input_tokens INT32 -1,1', 'num_output_tokens INT32 -1,1']),
}

/** TensorRT-LLM, llmapi/tensorrt_llm/config.pbtxt. */
export const llmApi = {
  inputs: tensors([
    'text_input BYTES -1',
    'streaming BOOL 1',
    'sampling_param_temperature FP32 1',
    'sampling_param_top_k INT32 1',
    'sampling_param_max_tokens INT32 1',
    'sampling_param_stop BYTES -1',
    'sampling_param_seed UINT64 1',
    'sampling_param_exclude_input_from_output BOOL 1',
    'return_finish_reason BOOL 1',
    'stop BOOL 1',
  ]),
  outputs: tensors(['text_output BYTES -1', 'finish_reason BYTES -1']),
}

/** A decoder as exports on the Hugging Face hub have it, without its cache. */
export const plain = (vocabulary: number) => ({
  inputs: tensors(['input_ids INT64 -1,-1', 'attention_mask INT64 -1,-1', 'position_ids INT64 -1,-1']),
  outputs: tensors([`logits FP32 -1,-1,${vocabulary}`]),
})
