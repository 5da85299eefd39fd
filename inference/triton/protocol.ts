import { join } from 'node:path'
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { z } from 'zod'
import { installation } from '../../mesh/installation.js'

/** What Triton answers, as far as it is read here. Parsed on arrival, like everything that others sent. */

const tensorInfo = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.number()) })

export const inferResponseSchema = z.object({
  id: z.string(),
  parameters: z.record(z.string(), z.object({ bool_param: z.boolean().optional() })),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.string(),
      shape: z.array(z.number()),
      /** Where a server puts elements that are not in the raw contents. */
      contents: z.object({ bytes_contents: z.array(z.instanceof(Uint8Array)) }).nullish(),
    }),
  ),
  raw_output_contents: z.array(z.instanceof(Buffer)),
})
export type InferResponse = z.infer<typeof inferResponseSchema>

export const replies = {
  ServerLive: z.object({ live: z.boolean() }),
  ServerReady: z.object({ ready: z.boolean() }),
  ModelReady: z.object({ ready: z.boolean() }),
  ServerMetadata: z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) }),
  ModelMetadata: z.object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(tensorInfo),
    outputs: z.array(tensorInfo),
  }),
  ModelConfig: z
    .object({
      config: z.object({
        backend: z.string(),
        input: z.array(z.object({ name: z.string(), optional: z.boolean() })),
        parameters: z.record(z.string(), z.object({ string_value: z.string() })),
        model_transaction_policy: z.object({ decoupled: z.boolean() }).nullish(),
      }),
    })
    .transform(({ config: { backend, input, parameters, model_transaction_policy: policy } }) => ({
      backend,
      /** Inputs that may be left out. */
      optional: new Set(input.flatMap(({ name, optional }) => (optional ? [name] : []))),
      parameters: Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, value.string_value])),
      /** Whether one request may have several answers. */
      decoupled: policy?.decoupled ?? false,
    })),
  RepositoryIndex: z
    .object({ models: z.array(z.object({ name: z.string(), state: z.string(), reason: z.string() })) })
    .transform(({ models }) => models),
  ModelInfer: inferResponseSchema,
  RepositoryModelLoad: z.object({}),
  RepositoryModelUnload: z.object({}),
  ModelStatistics: z
    .object({
      model_stats: z.array(
        z.object({
          name: z.string(),
          inference_count: z.number(),
          execution_count: z.number(),
          inference_stats: z
            .object({
              success: z.object({ count: z.number(), ns: z.number() }).nullish(),
              queue: z.object({ count: z.number(), ns: z.number() }).nullish(),
            })
            .nullish(),
        }),
      ),
    })
    .transform(({ model_stats }) => model_stats),
} as const
export type Unary = keyof typeof replies

export const streamResponseSchema = z.object({
  error_message: z.string(),
  infer_response: inferResponseSchema.nullable(),
})

export interface InferRequest {
  model_name: string
  id: string
  parameters: Record<string, { bool_param: boolean }>
  inputs: { name: string; datatype: string; shape: number[] }[]
  /** All, if left out. */
  outputs?: { name: string }[]
  raw_input_contents: Buffer[]
}

const definitions = loadSync(join(installation, 'inference', 'triton', 'kserve.proto'), {
  keepCase: true,
  longs: Number,
  defaults: true,
  // Of a oneof only the chosen field is set.
  oneofs: true,
})

export const inferenceService = definitions['inference.GRPCInferenceService'] as ServiceDefinition

export function method(name: Unary | 'ModelStreamInfer'): MethodDefinition<object, unknown> {
  const found = (inferenceService as Record<string, MethodDefinition<object, unknown>>)[name]
  if (!found) throw new Error(`kserve.proto defines no ${name}`)
  return found
}
