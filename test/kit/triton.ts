/** A gRPC server with Triton's protocol: what it lists and answers is the test's, how it speaks is as the real one was seen to. */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { type InferRequest, inferenceService } from '../../inference/triton/protocol.js'
import { decodeTensor, encodeTensor, type TensorInfo, type TensorValue } from '../../inference/triton/tensor.js'

/** The inputs of one request, by name. */
export type Asked = Record<string, readonly (string | number)[]>

/** One response: its outputs, or what stands in place of one. */
export type Given = Record<string, TensorValue> | { error: string }

export interface ServedModel {
  name: string
  inputs: readonly TensorInfo[]
  outputs: readonly TensorInfo[]
  /** Names of the inputs that may be left out; any, if it does not say. */
  optional?: readonly string[]
  parameters?: Record<string, string>
  decoupled?: boolean
  ready?: boolean
  /** Is being unloaded, and never comes to the end of that: who has it loaded or unloaded once more is not answered. */
  stuck?: boolean
  /** Not loaded until it is asked for; an error: the load fails with it. */
  unloaded?: true | { error: string }
  answer(asked: Asked, signal: AbortSignal): AsyncIterable<Given>
  /** What is sent behind the last answer: the real server's empty final response, or nothing. */
  final?: boolean
  /** Leaves the stream open when all was said, for ever or for so many milliseconds. */
  hangs?: boolean | number
}

export interface TritonServer {
  url: string
  /** Requests in the order in which they came. */
  asked: { id: string; inputs: Asked }[]
  /** Names of the models that were loaded and unloaded, in order, and how many streams were open then, if any were. */
  moved: string[]
  /** Streams that were cancelled. */
  cut: number
  /** Resolves once no request is under way. */
  idle(): Promise<void>
  close(): void
}

type MoveCall = ServerUnaryCall<{ model_name: string }, object>
type InferCall = ServerDuplexStream<InferRequest, object>

export async function serveTriton(models: readonly ServedModel[]): Promise<TritonServer> {
  const server = new Server()
  const asked: TritonServer['asked'] = []
  const running = new Set<Promise<void>>()
  const moved: string[] = []
  const open = new Set<InferCall>()
  let cut = 0
  const loaded = new Set(models.filter(({ unloaded }) => !unloaded))
  const find = (name: string): ServedModel | undefined => models.find((model) => model.name === name)
  // As the real one has it: nothing at all of what was never loaded.
  const stateOf = (name: string): string => {
    const model = find(name)
    if (model?.stuck) return 'UNLOADING'
    return model && loaded.has(model) ? (model.ready === false ? 'LOADING' : 'READY') : ''
  }
  const unary =
    (reply: (model: ServedModel) => object) =>
    (call: ServerUnaryCall<{ name: string }, object>, answer: sendUnaryData<object>): void => {
      const model = find(call.request.name)
      if (model) answer(null, reply(model))
      else
        answer({
          code: status.NOT_FOUND,
          details: `Request for unknown model: '${call.request.name}' is not found`,
          metadata: new Metadata(),
        })
    }
  server.addService(inferenceService, {
    ServerLive: (_: unknown, answer: sendUnaryData<object>) => answer(null, { live: true }),
    ServerReady: (_: unknown, answer: sendUnaryData<object>) => answer(null, { ready: true }),
    ServerMetadata: (_: unknown, answer: sendUnaryData<object>) =>
      answer(null, { name: 'triton', version: '2.51.0', extensions: ['model_configuration'] }),
    RepositoryIndex: (_: unknown, answer: sendUnaryData<object>) =>
      answer(null, { models: models.map(({ name }) => ({ name, version: '1', state: stateOf(name), reason: '' })) }),
    RepositoryModelLoad: (call: MoveCall, answer: sendUnaryData<object>) => {
      const model = find(call.request.model_name)
      if (model?.stuck) return
      if (model && typeof model.unloaded === 'object')
        return answer({ code: status.UNAVAILABLE, details: model.unloaded.error, metadata: new Metadata() })
      if (model) loaded.add(model)
      moved.push(`load ${call.request.model_name}`)
      answer(null, {})
    },
    RepositoryModelUnload: (call: MoveCall, answer: sendUnaryData<object>) => {
      const model = find(call.request.model_name)
      if (model) loaded.delete(model)
      moved.push(`unload ${call.request.model_name}${open.size > 0 ? ` with ${open.size} streams` : ''}`)
      if (model?.stuck) return
      answer(null, {})
    },
    ModelReady: unary((model) => ({ ready: loaded.has(model) && model.ready !== false && !model.stuck })),
    ModelMetadata: unary(({ name, inputs, outputs }) => ({
      name,
      versions: ['1'],
      platform: 'python',
      inputs,
      outputs,
    })),
    ModelConfig: unary(({ name, inputs, optional, parameters = {}, decoupled = true }) => ({
      config: {
        name,
        backend: 'python',
        input: inputs.map((input) => ({ name: input.name, optional: optional?.includes(input.name) ?? true })),
        parameters: Object.fromEntries(
          Object.entries(parameters).map(([key, value]) => [key, { string_value: value }]),
        ),
        model_transaction_policy: { decoupled },
      },
    })),
    ModelInfer: (call: ServerUnaryCall<InferRequest, object>, reply: sendUnaryData<object>) => {
      const inputs = readInputs(call.request)
      asked.push({ id: call.request.id, inputs })
      const work = inferred(call, find(call.request.model_name), inputs).then(
        (value) => reply(null, value),
        (error: Error) => reply({ code: status.INVALID_ARGUMENT, details: error.message, metadata: new Metadata() }),
      )
      running.add(work)
      void work.finally(() => running.delete(work))
    },
    ModelStreamInfer: (call: InferCall) => {
      open.add(call)
      call.on('finish', () => open.delete(call))
      // The library says so of each, once its connection is done with it.
      call.on('cancelled', () => {
        if (open.delete(call)) cut += 1
      })
      call.on('data', (request: InferRequest) => {
        const inputs = readInputs(request)
        asked.push({ id: request.id, inputs })
        const work = answer(call, find(request.model_name), request, inputs).catch(() => {})
        running.add(work)
        void work.finally(() => running.delete(work))
      })
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return {
    url: `grpc://127.0.0.1:${port}`,
    asked,
    moved,
    get cut() {
      return cut
    },
    idle: async () => void (await Promise.all(running)),
    close: () => server.forceShutdown(),
  }
}

/** The first answer, which is the only one of its kind. Throws what Triton finds wrong. */
async function inferred(
  call: ServerUnaryCall<InferRequest, object>,
  model: ServedModel | undefined,
  asked: Asked,
): Promise<object> {
  const gone = new AbortController()
  call.on('cancelled', () => gone.abort())
  const fault = model ? mismatch(model, call.request.inputs) : 'Request for unknown model'
  if (!model || fault !== undefined) throw new Error(fault)
  for await (const given of model.answer(asked, gone.signal)) {
    if ('error' in given) throw new Error(String(given.error))
    return response(model, call.request.id, given as Record<string, TensorValue>, true)
  }
  throw new Error('no answer')
}

async function answer(
  call: InferCall,
  model: ServedModel | undefined,
  { id, inputs }: InferRequest,
  asked: Asked,
): Promise<void> {
  const gone = new AbortController()
  call.on('cancelled', () => gone.abort())
  const fault = model ? mismatch(model, inputs) : 'Request for unknown model'
  if (!model || fault !== undefined) {
    call.write({ error_message: fault })
    return void call.end()
  }
  for await (const given of model.answer(asked, gone.signal)) {
    if (gone.signal.aborted) return
    if ('error' in given) {
      call.write({ error_message: given.error })
      return void call.end()
    }
    const drained = call.write({ infer_response: response(model, id, given as Record<string, TensorValue>, false) })
    // Between two tokens a model computes; here the event loop gets its turn.
    await (drained ? new Promise(setImmediate) : new Promise((resolve) => call.once('drain', resolve)))
  }
  if (model.final !== false) call.write({ infer_response: response(model, id, {}, true) })
  if (typeof model.hangs === 'number') setTimeout(() => call.end(), model.hangs)
  else if (!model.hangs) call.end()
}

function response(model: ServedModel, id: string, given: Record<string, TensorValue>, final: boolean): object {
  const outputs = model.outputs.filter(({ name }) => given[name] !== undefined)
  const tensors = outputs.map(({ datatype, name }) => encodeTensor(datatype, given[name] ?? ''))
  return {
    model_name: model.name,
    model_version: '1',
    id,
    parameters: { triton_final_response: { bool_param: final } },
    outputs: outputs.map(({ name, datatype, shape }, i) => ({
      name,
      datatype,
      shape: shapeOf(shape, tensors[i]?.count ?? 0),
    })),
    raw_output_contents: tensors.map(({ raw }) => raw),
  }
}

/** The shape of so many elements, as the model states it: of the sizes that it leaves open, all but the last are one. */
function shapeOf(stated: readonly number[], count: number): number[] {
  const fixed = stated.reduce((product, size) => (size === -1 ? product : product * size), 1)
  const last = stated.lastIndexOf(-1)
  return stated.map((size, i) => (size !== -1 ? size : i === last ? count / fixed : 1))
}

/** What Triton finds wrong with a request, in its words. */
function mismatch(model: ServedModel, inputs: InferRequest['inputs']): string | undefined {
  for (const { name, datatype, shape } of inputs) {
    const known = model.inputs.find((input) => input.name === name)
    if (!known) return `unexpected inference input '${name}' for model '${model.name}'`
    if (known.datatype !== datatype)
      return `inference input '${name}' data-type is '${datatype}', but model '${model.name}' expects '${known.datatype}'`
    if (shape.length !== known.shape.length || known.shape.some((size, i) => size !== -1 && size !== shape[i]))
      return `unexpected shape for input '${name}' for model '${model.name}'. Expected [${known.shape}], got [${shape}]`
  }
  return undefined
}

export function readInputs({ inputs, raw_input_contents: raw }: InferRequest): Asked {
  return Object.fromEntries(
    inputs.map(({ name, datatype }, i) => [name, decodeTensor(name, datatype, raw[i] ?? Buffer.alloc(0)).values]),
  )
}
