/**
 * A YAML text as plain data, with the line of every field: what a policy and a truth table are read from.
 *
 *     const { value, lineOf } = readDocument(text, 'policy.yaml')
 *     lineOf(['limits', 'wall_ms']) // 4
 */
import { isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { ClawmeshError } from './errors.js'

export interface Document {
  /** What the person calls the text, for messages: a file name, usually. */
  readonly source: string
  readonly value: unknown
  /** Of the field, or of the nearest around it that is written down. */
  readonly lineOf: (field: readonly PropertyKey[]) => number
}

/** A policy is a page or two; what is larger is something else. Each version of one goes through the broker and stands in the trail, which take no more than 1 MB at a time. */
const mostCharacters = 128 * 1024

/** @throws ClawmeshError POLICY_INVALID naming source, line and reason */
export function readDocument(text: string, source: string): Document {
  if (text.length > mostCharacters)
    throw invalid(source, 1, '', 'is longer than any policy: at most 128 Ki characters are read')
  const lines = new LineCounter()
  try {
    const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true })
    const broken = document.errors[0]
    if (broken)
      throw invalid(source, lines.linePos(broken.pos[0]).line, '', `is not valid YAML: ${firstLine(broken.message)}`)
    const value: unknown = document.toJS() ?? {}
    return { source, value, lineOf }

    function lineOf(field: readonly PropertyKey[]): number {
      for (let depth = field.length; depth > 0; depth--) {
        const holder = document.getIn(field.slice(0, depth - 1), true)
        const pair = isMap(holder) && holder.items.find(({ key }) => isScalar(key) && key.value === field[depth - 1])
        const node = pair ? pair.key : document.getIn(field.slice(0, depth), true)
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
      }
      return 1
    }
  } catch (error) {
    if (error instanceof ClawmeshError) throw error
    // Aliases that multiply, or brackets nested by the thousand: the reader gives up with an error of its own.
    const why = error instanceof Error ? firstLine(error.message) : String(error)
    throw invalid(source, 1, '', `cannot be read: ${why}`, error)
  }
}

/** @throws ClawmeshError POLICY_INVALID naming source, line, field and reason of what does not fit */
export function parseDocumentAs<Schema extends z.ZodType>(document: Document, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(document.value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const field = [...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])]
  const reason =
    unknown === undefined
      ? (issue?.message ?? 'is not valid')
      : 'is not a known field; a field that is not enforced is not ignored'
  throw invalid(document.source, document.lineOf(field), field.join('.'), reason)
}

export function invalid(source: string, line: number, field: string, reason: string, cause?: unknown): ClawmeshError {
  const where = field === '' ? `${source}:${line}` : `${source}:${line}: ${field}`
  return new ClawmeshError('POLICY_INVALID', `${where} ${reason}`, {
    hint: 'Correct the field, or take a preset from policies/presets as a start.',
    data: { line, field },
    cause,
  })
}

const firstLine = (text: string): string => text.split('\n')[0] ?? ''
