/** The models of a Triton server: which there are, what each takes and gives, and that one that was named is there. */
import { ClawmeshError } from '../../policies/errors.js'
import { awayBy, withoutIt } from '../backend.js'
import { findKnown, readCatalogue } from '../catalogue.js'
import { saysSo } from '../onnx/memory.js'
import type { TritonClient } from './client.js'
import type { TensorInfo } from './tensor.js'

/** What a server says of one of its models. */
export interface Served {
  name: string
  version: string
  inputs: readonly TensorInfo[]
  outputs: readonly TensorInfo[]
  /** Names of the inputs that may be left out. */
  optional: ReadonlySet<string>
  parameters: Readonly<Record<string, string>>
  decoupled: boolean
  /** What stands in the prompt for an image; undefined: it is shown none. */
  imageMark: string | undefined
  /** It was not loaded before it was asked for here, so it is to be given back. */
  borrowed: boolean
}

const openingMs = 5000
const leavingMs = 5000
const awayMs = 2000
const usualLoadMs = 600_000

/**
 * The model of this name, or the only one that the server has; loaded, if it was not. Throws MODEL_UNSUITED for what the repository does not have, MEMORY_FULL, MODEL_BUSY while somebody else
 * loads it.
 */
export async function findServed(
  client: TritonClient,
  named: string | undefined,
  loadMs: number = usualLoadMs,
): Promise<Served> {
  const name = named ?? (await onlyModel(client))
  const borrowed = await ensureLoaded(client, name, loadMs)
  try {
    return { ...(await look(client, name)), borrowed }
  } catch (thrown) {
    if (borrowed) await giveBack(client, name)
    throw thrown
  }
}

/** Whether the model takes token ids and gives logits, for others to make sense of. */
export const isPlain = ({ inputs, outputs }: Served): boolean =>
  inputs.some(({ name }) => name === 'input_ids') && outputs.some(({ name }) => name === 'logits')

/** Whether it had to be loaded for this. */
async function ensureLoaded(client: TritonClient, name: string, ms: number): Promise<boolean> {
  const index = await client.ask('RepositoryIndex', {}, openingMs)
  const versions = index.filter((each) => each.name === name)
  const { ready } = versions.length > 0 ? await client.ask('ModelReady', { name }, openingMs) : { ready: false }
  if (ready) return false
  if (versions.length === 0)
    throw new ClawmeshError('MODEL_UNSUITED', `Triton at ${client.target} has no model ${name}.`, {
      hint: `Its repository has: ${[...new Set(index.map((each) => each.name))].join(', ') || 'none'}.`,
    })
  if (versions.some(({ state }) => state === 'LOADING'))
    throw new ClawmeshError('MODEL_BUSY', `${name} is not ready on Triton at ${client.target}.`, {
      hint: 'It is still being loaded: try again in a moment.',
    })
  if (versions.some(({ state }) => state === 'UNLOADING')) await haveLeft(client, name, Math.min(ms, leavingMs))
  await client.ask('RepositoryModelLoad', { model_name: name }, ms).catch((thrown: unknown) => {
    if (saysSo(String(thrown))) throw noMemory(name, thrown)
    // A server that has loaded all of its models at the start lets nobody load one.
    if (!/explicit model load/i.test(String(thrown))) throw thrown
    throw new ClawmeshError('MODEL_UNSUITED', `${name} is not loaded on Triton at ${client.target}.`, {
      hint: 'Start the server with --model-control-mode=explicit, so that models can be loaded, or name one that is ready.',
      cause: thrown,
    })
  })
  return true
}

/** Who had it before may just be giving it back. A Triton that does not come to the end of that would let a load wait for as long. */
async function haveLeft(client: TritonClient, name: string, ms: number): Promise<void> {
  for (const until = performance.now() + ms; performance.now() < until; ) {
    const index = await client.ask('RepositoryIndex', {}, openingMs)
    if (!index.some((each) => each.name === name && each.state === 'UNLOADING')) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new ClawmeshError('MODEL_BUSY', `${name} is being unloaded on Triton at ${client.target}, for ${ms} ms now.`, {
    hint: 'Something may still be asking it: try again in a moment. If it stays so, start Triton anew.',
  })
}

/** See `Backend.away`. */
export async function awayFrom(client: TritonClient, name: string): Promise<string | undefined> {
  try {
    const { ready } = await client.ask('ModelReady', { name }, awayMs)
    return ready ? undefined : withoutIt
  } catch (thrown) {
    return ClawmeshError.from(thrown).code === 'MODEL_UNSUITED' ? withoutIt : awayBy(thrown)
  }
}

/** Within `ms`, and no more than a few seconds. A server that is gone holds nothing any more. */
export async function giveBack(client: TritonClient, name: string, ms: number = openingMs): Promise<void> {
  await client.ask('RepositoryModelUnload', { model_name: name }, Math.min(ms, openingMs)).catch(() => {})
}

async function look(client: TritonClient, name: string): Promise<Omit<Served, 'borrowed'>> {
  const [server, { inputs, outputs }, { parameters, decoupled, optional }, catalogue] = await Promise.all([
    client.ask('ServerMetadata', {}, openingMs),
    client.ask('ModelMetadata', { name }, openingMs),
    client.ask('ModelConfig', { name }, openingMs),
    readCatalogue(),
  ])
  const sees = findKnown(catalogue, name)?.modalities.includes('image') ? '<image>' : undefined
  // vLLM's backend lists the input for every model, so that alone says nothing of what the model takes.
  const imageMark = inputs.some((input) => input.name === 'image') ? (parameters.image_mark ?? sees) : undefined
  return { name, version: server.version, inputs, outputs, optional, parameters, decoupled, imageMark }
}

function noMemory(name: string, cause: unknown): ClawmeshError {
  return new ClawmeshError('MEMORY_FULL', `Triton has not the memory to load ${name}.`, {
    hint: 'Unload another model, or use a smaller one, or one of fewer bits.',
    cause,
  })
}

async function onlyModel(client: TritonClient): Promise<string> {
  const models = await client.ask('RepositoryIndex', { ready: true }, openingMs)
  const names = [...new Set(models.map(({ name }) => name))]
  const [first, second] = names
  if (first !== undefined && second === undefined) return first
  throw new ClawmeshError(
    'MODEL_UNSUITED',
    `Triton at ${client.target} has ${names.length === 0 ? 'no model that is ready' : `${names.length} models`}.`,
    {
      hint: names.length === 0 ? 'Load a model first.' : `Name one behind the address: ${names.join(', ')}.`,
    },
  )
}
