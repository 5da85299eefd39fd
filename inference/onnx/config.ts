import type { ModelInfo } from '../backend.js'
import { broken, isRecord, type OpenedModel } from '../models.js'

/** The sizes of a decoder that its key-value cache and its outputs need. */
export interface DecoderShape {
  /** Those with keys and values. */
  layers: number
  kvHeads: number
  headDim: number
  vocabulary: number
  context: number
  /** Ids that end an answer. */
  ends: readonly number[]
}

export interface ModelConfig {
  shape: DecoderShape
  /** How the model writes tool calls: 'compact', or not in a way that is read here. */
  calls: 'compact' | 'unknown'
  info: Omit<ModelInfo, 'digest'>
}

/** config.json of a folder in the layout of the Hugging Face hub, with the block `clawmesh` if it has one. Throws MODEL_BROKEN. */
export function readConfig(model: OpenedModel): ModelConfig {
  const config = model.json('config.json')
  if (!isRecord(config)) throw broken(model.folder, 'config.json', 'it is not an object')
  const number = (key: string, otherwise?: number): number => {
    const value = config[key] ?? otherwise
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw broken(model.folder, 'config.json', `${key} is not a whole number`)
  }
  const heads = number('num_attention_heads', 1)
  const shape = {
    layers: attentionLayers(config) ?? number('num_hidden_layers'),
    kvHeads: number('num_key_value_heads', heads),
    headDim: number('head_dim', number('attention_head_dim', Math.floor(number('hidden_size') / heads))),
    vocabulary: number('vocab_size'),
    context: number('max_position_embeddings'),
    ends: endsOf(config.eos_token_id),
  }
  const ours = isRecord(config.clawmesh) ? config.clawmesh : {}
  const text = (key: string, otherwise: string): string => (typeof ours[key] === 'string' ? ours[key] : otherwise)
  const tools = ours.tools
  return {
    shape,
    calls: ours.tool_call_format === 'compact' ? 'compact' : 'unknown',
    info: {
      name: text('name', typeof config._name_or_path === 'string' ? config._name_or_path : 'unnamed'),
      backend: 'onnx',
      context: shape.context,
      ...(typeof ours.parameters === 'number' ? { parameters: ours.parameters } : {}),
      ...(Array.isArray(tools) ? { tools: tools.map(String) } : {}),
      boundsThought: true,
      purpose: text('purpose', 'not stated'),
      limits: text('limits', 'not stated'),
      ...(isRecord(ours.figures) ? { figures: ours.figures } : {}),
    },
  }
}

/** Of a hybrid, whose config says what each layer is; undefined for one that is all attention. */
function attentionLayers({
  layer_types,
  layers_block_type,
  hybrid_override_pattern: pattern,
}: Record<string, unknown>) {
  const types = layer_types ?? layers_block_type
  if (Array.isArray(types) && types.includes('attention')) return types.filter((type) => type === 'attention').length
  return typeof pattern === 'string' ? pattern.split('*').length - 1 : undefined
}

function endsOf(ids: unknown): number[] {
  return (Array.isArray(ids) ? ids : [ids]).filter((id: unknown): id is number => Number.isSafeInteger(id))
}
