import { ClawmeshError } from '../../policies/errors.js'
import { widenedHalves } from '../onnx/half.js'
import type { InferResponse } from './protocol.js'

/**
 * The last row of the output `logits` of one answer: [batch, tokens, vocabulary], or fewer dimensions. Throws MODEL_FAILED for bytes that are not what the shape says, MODEL_UNSUITED for a
 * vocabulary of another size, a type that is not read here, or rows that are neither those of the `tokens` that were sent nor that of the last alone: it would not be known whose is whose.
 */
export function lastRow(
  { outputs, raw_output_contents: raw }: InferResponse,
  vocabulary: number,
  tokens: number,
): Float32Array {
  const at = outputs.findIndex(({ name }) => name === 'logits')
  const [output, bytes] = [outputs[at], raw[at]]
  if (!output || !bytes) throw failed('it has no logits')
  const { datatype, shape } = output
  const form = forms[datatype]
  if (!form) throw unsuited(`its logits are ${datatype}`, `Known are ${Object.keys(forms).join(', ')}.`)
  const width = shape.at(-1)
  if (width !== vocabulary)
    throw unsuited(
      `it gives ${width} numbers for a token, and the tokenizer's model has ${vocabulary} tokens`,
      'Name the folder of the very model that Triton serves.',
    )
  const count = shape.reduce((product, size) => product * size, 1)
  if (count < vocabulary || bytes.length !== count * form.size)
    throw failed(`${bytes.length} bytes are no logits of ${datatype}[${shape.join(',')}]`)
  const rows = shape.at(-2) ?? 1
  if (rows !== 1 && rows !== tokens)
    throw unsuited(
      `it gives the logits of ${rows} tokens where ${tokens} were sent`,
      'Have it take any number of tokens, and give the logits of these or of the last alone.',
    )
  // A copy, so that it stands where numbers of its size may stand.
  const row = Uint8Array.from(bytes.subarray(bytes.length - vocabulary * form.size))
  return form.read(row.buffer)
}

const forms: Record<string, { size: number; read(row: ArrayBuffer): Float32Array }> = {
  FP32: { size: 4, read: (row) => new Float32Array(row) },
  FP16: { size: 2, read: (row) => widenedHalves(new Uint16Array(row)) },
  // The upper half of a float32.
  BF16: {
    size: 2,
    read: (row) => new Float32Array(Uint32Array.from(new Uint16Array(row), (bits) => bits << 16).buffer),
  },
}

function unsuited(why: string, hint: string): ClawmeshError {
  return new ClawmeshError('MODEL_UNSUITED', `The model on Triton cannot be used: ${why}.`, { hint })
}

function failed(why: string): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The model server's answer cannot be used: ${why}.`, {
    hint: 'Look at the log of the server, and ask again.',
  })
}
