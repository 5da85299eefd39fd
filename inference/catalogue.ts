import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { installation } from '../mesh/installation.js'
import { formatNames } from './chat/format.js'

const modelSchema = z.strictObject({
  name: z.string(),
  /** ORGANISATION/NAME on the hub, where we have seen it. */
  repository: z
    .string()
    .regex(/^[\w.-]+\/[\w.-]+$/)
    .optional(),
  architecture: z.enum(['nemotron', 'llama', 'nemotron_h']),
  parameters: z.number().positive(),
  /** Of a mixture of experts: how many work on one token. */
  active: z.number().positive().optional(),
  context: z.int().positive().optional(),
  kvBytesPerToken: z.int().positive().optional(),
  modalities: z.array(z.enum(['text', 'image'])).min(1),
  licence: z.string(),
  chat: z.string().refine((name) => formatNames.includes(name), 'no such chat format'),
  onnx: z.strictObject({ by: z.string(), repository: z.string().optional(), quantisation: z.string() }).optional(),
  /** Bytes of published files, by quantisation. */
  published: z.record(z.string(), z.number().positive()).optional(),
  /** Best first. */
  backends: z.array(z.enum(['onnx', 'triton', 'vllm', 'llama.cpp', 'ollama'])).min(1),
  /** Whether onnxruntime on a CPU is for it. */
  cpu: z.boolean(),
  notes: z.string().optional(),
})
export type KnownModel = z.infer<typeof modelSchema>

/** Bits that a parameter takes, with the scales that go with it. */
export const bitsOf = { bf16: 16, fp8: 8, q8: 8.5, nvfp4: 4.5, q4: 4.5, int4: 4.5 } as const
export type Quantisation = keyof typeof bitsOf

/** The Nemotron family, from catalogue.yaml. */
export async function readCatalogue(): Promise<KnownModel[]> {
  const text = await readFile(join(installation, 'inference', 'catalogue.yaml'), 'utf8')
  return z.array(modelSchema).parse(parse(text))
}

/** Bytes of the weights: as published, else as the number of parameters has it. */
export function weightBytes({ parameters, published }: KnownModel, quantisation: Quantisation): number {
  return published?.[quantisation] ?? Math.ceil((parameters * bitsOf[quantisation]) / 8)
}

/** The member of the family that a name means, however servers and hubs spell it: with the organisation, a format or underscores. */
export function findKnown(catalogue: readonly KnownModel[], name: string): KnownModel | undefined {
  const wanted = plain(name)
  const found = catalogue.filter(
    (model) => wanted.startsWith(plain(model.name)) || wanted === plain(model.repository ?? model.name),
  )
  // Of names that begin alike the longest is meant.
  return found.sort((a, b) => b.name.length - a.name.length)[0]
}

function plain(name: string): string {
  return (name.split('/').at(-1) ?? '')
    .toLowerCase()
    .replace(/[._]/g, '-')
    .replace(/^nvidia-/, '')
}
