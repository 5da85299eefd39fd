/**
 * A tagger as it lies in a folder: `config.json` says of which form it is, which files it has with their SHA-256, and what it must find in a few texts before it
 * is trusted with any other.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { tagKinds } from './tagger.js'

const kind = z.enum(tagKinds)
const common = {
  /** What is found counts from this certainty on, 0 to 1. */
  threshold: z.number().gt(0).lt(1),
  files: z.record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/), z.string().regex(/^[0-9a-f]{64}$/)),
  /** At least one text with something in it and one with nothing. */
  selfTest: z
    .array(z.strictObject({ text: z.string(), finds: z.array(z.strictObject({ kind, text: z.string().min(1) })) }))
    .refine((texts) => texts.some(({ finds }) => finds.length > 0) && texts.some(({ finds }) => finds.length === 0), {
      message: 'needs a text with finds and one without',
    }),
}

export const configSchema = z.discriminatedUnion('form', [
  /** Ours: `model.onnx` over pieces of words, joined with the dictionary `words.txt.gz`. */
  z.strictObject({ form: z.literal('pieces'), ...common }),
  /** An export of GLiNER in span mode: `model.onnx`, `tokenizer.json`, `tokenizer_config.json`. */
  z.strictObject({
    form: z.literal('gliner-span'),
    ...common,
    /** What it is asked for, as its training called it, and what that is to us. */
    labels: z.record(z.string().min(1), kind),
    /** Most words of a span, and of what it reads at once; as in its gliner_config.json. */
    maxWidth: z.int().min(1).max(64).default(12),
    maxWords: z.int().min(8).max(4096).default(384),
    entityToken: z.string().default('<<ENT>>'),
    separatorToken: z.string().default('<<SEP>>'),
  }),
])
export type TaggerConfig = z.output<typeof configSchema>

export interface TaggerFolder {
  readonly config: TaggerConfig
  /** Checked against the digest that the config names. */
  bytes(file: string): Buffer
}

/** @throws Error saying what is wrong with it */
export function openFolder(path: string): TaggerFolder {
  const config = configSchema.parse(JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')))
  return {
    config,
    bytes: (file) => {
      const bytes = readFileSync(join(path, file))
      if (createHash('sha256').update(bytes).digest('hex') !== config.files[file])
        throw new Error(`${file} is not the file that config.json names`)
      return bytes
    },
  }
}
