import { isAbsolute } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'
import { refuseElsewhere } from '../loopback.js'

export interface TritonAddress {
  /** For gRPC: host and port. */
  target: string
  /** undefined: whatever one model the server has. */
  model: string | undefined
  /** The chat format that the person named. */
  chat: string | undefined
  /** A model folder with the tokenizer and the chat template of a model that takes and gives plain tensors. */
  tokenizer: string | undefined
}

export const isTritonUrl = (url: string): boolean => /^(grpc|triton):\/\//i.test(url)

/** `grpc://127.0.0.1:8001/MODEL?chat=FORMAT`, or `?tokenizer=/FOLDER`. Throws USAGE for what is not that, DENIED for a machine other than this one. */
export function parseTritonUrl(url: string): TritonAddress {
  const parsed = isTritonUrl(url) && URL.canParse(url) ? new URL(url) : undefined
  const [, model = '', ...more] = parsed?.pathname.split('/') ?? []
  const { chat, tokenizer, ...unknown } = Object.fromEntries(parsed?.searchParams ?? [])
  const isPlain = parsed && `${parsed.username}${parsed.password}${parsed.hash}${more.join('')}` === ''
  if (!isPlain || parsed.hostname === '' || !/^[\w.-]*$/.test(model) || Object.keys(unknown).length > 0)
    throw malformed(url)
  if (tokenizer !== undefined && !isAbsolute(tokenizer)) throw malformed(url)
  refuseElsewhere(parsed.hostname.toLowerCase(), parsed.host)
  const target = `${parsed.hostname}:${parsed.port || '8001'}`
  return { target, model: model || undefined, chat: chat || undefined, tokenizer }
}

function malformed(url: string): ClawmeshError {
  return new ClawmeshError('USAGE', `"${url}" is not the URL of a model on Triton.`, {
    hint: 'Give it as grpc://127.0.0.1:8001/MODEL, with ?chat=FORMAT behind it if the name of the model does not say its chat format, or ?tokenizer=/FOLDER for one that takes token ids.',
  })
}
