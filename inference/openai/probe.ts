import { ClawmeshError } from '../../policies/errors.js'
import { localBase } from './address.js'
import { Exchange } from './exchange.js'
import { distrust } from './owner.js'
import { malformed } from './sse.js'
import { type ListedModel, modelListSchema } from './wire.js'

export type ServerKind = 'ollama' | 'vllm' | 'sglang' | 'llama.cpp' | 'nim' | 'dynamo' | 'other'

export interface FoundServer {
  /** Up to and with `/v1`. */
  base: string
  kind: ServerKind
  models: readonly ListedModel[]
  /** Why it is not to be used unless the person names it. */
  distrust?: string
}

/** Where these servers listen if nobody says otherwise: Ollama; vLLM, NIM and Dynamo; llama.cpp. */
export const usualAddresses = ['http://127.0.0.1:11434', 'http://127.0.0.1:8000', 'http://127.0.0.1:8080'] as const

/**
 * The model servers that answer on this machine within `ms`. `named` is one that the person named: it must be on this machine (DENIED) and
 * must answer (MODEL_FAILED, DEADLINE); the others are told if they are there, with what speaks against them.
 */
export async function probeServers(
  named: string | undefined,
  ms = 400,
  addresses: readonly string[] = usualAddresses,
): Promise<FoundServer[]> {
  const asked = named === undefined ? [] : [await listServer(localBase(named), ms)]
  const usual = addresses.map(localBase).filter((base) => base !== asked[0]?.base)
  const found = await Promise.allSettled(
    usual.map(async (base) => {
      const server = await listServer(base, ms)
      const why = await distrust(base)
      return why === undefined ? server : { ...server, distrust: why }
    }),
  )
  return [...asked, ...found.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))]
}

/** Asks one server what it is and has. Throws what Exchange throws, MODEL_FAILED if it is no model server. */
export async function listServer(base: string, ms: number): Promise<FoundServer> {
  const exchange = new Exchange(`${base}/models`, { silence: ms, total: ms })
  try {
    const response = await exchange.open({ method: 'GET' })
    const models = parseList(await exchange.text(response, 1_000_000))
    return { base, kind: kindOf(models), models }
  } finally {
    exchange.close()
  }
}

function parseList(text: string): ListedModel[] {
  try {
    const { data, models = [] } = modelListSchema.parse(JSON.parse(text))
    const seeing = models.filter(({ capabilities }) => capabilities?.includes('multimodal')).map(({ name }) => name)
    return data
      .filter(({ id }) => isName(id))
      .map((each) => (seeing.includes(each.id) ? { ...each, multimodal: true } : each))
  } catch (cause) {
    throw cause instanceof ClawmeshError ? cause : malformed('its list of models is not one', cause)
  }
}

/** What is no name of a model is none to be shown, asked for or told to the mesh. */
const isName = (id: string): boolean => id.length <= 500 && !/\p{Cc}/u.test(id)

/** Whether Ollama would hand the prompt on to the cloud of its makers: its models there are called so. */
export const leavesMachine = ({ id }: ListedModel, kind: ServerKind): boolean =>
  kind === 'ollama' && /[:-]cloud$/.test(id)

/**
 * Whether a question of ours to this model costs nobody anything, as far as a list tells: a gateway to models that are paid for looks like `other`, or signs with another name than its models have, and
 * what makes vectors or orders texts does not talk.
 */
export function mayBeTried({ id, owned_by: owner = '', context_window }: ListedModel, kind: ServerKind): boolean {
  if (/embed|rerank/i.test(id)) return false
  if (kind === 'ollama') return owner === 'library' || id.split('/').includes(owner)
  return kind === 'dynamo' ? context_window != null : kind !== 'other'
}

/** Each server signs its list: vLLM, SGLang, llama.cpp and Dynamo by `owned_by`, Ollama with the library or the person a model came from. */
export function kindOf(models: readonly ListedModel[]): ServerKind {
  const [first] = models
  if (!first) return 'other'
  if (isOfOllama(first)) return 'ollama'
  if (first.owned_by === 'vllm' || first.owned_by === 'sglang') return first.owned_by
  if (first.owned_by === 'llamacpp' || first.meta) return 'llama.cpp'
  if (first.owned_by === 'nvidia') return 'dynamo'
  if (first.max_model_len) return 'nim'
  return first.owned_by === 'library' || /^[^/]+(\/[^/]+)*:[^/]+$/.test(first.id) ? 'ollama' : 'other'
}

/** NAMESPACE/NAME:TAG, owned by that namespace, though it be called as another server signs: what Ollama hands on to the cloud must be known as its. */
const isOfOllama = ({ id, owned_by: owner }: ListedModel): boolean =>
  owner !== undefined && /^(.+\/)?([^/]+)\/[^/]+:[^/:]+$/.exec(id)?.[2] === owner
