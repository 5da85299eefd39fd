/**
 * A truth table: what a policy is meant to answer, written down beside it and held to it.
 *
 *     workspace: /home/anna/ledger
 *     cases:
 *       - { write: /home/anna/ledger/sum.txt, expect: ask }
 */
import { z } from 'zod'
import { type Document, parseDocumentAs } from './document.js'
import { type Answer, explain } from './explain.js'
import { readConnection } from './network.js'
import type { Access } from './profile.js'

export interface Row {
  readonly line: number
  readonly access: Access
  readonly expected: Answer
  readonly answer: Answer
  readonly because: string
}

const real = z.string().regex(/^(tool:|\/)/, 'must be absolute')

const schema = z.strictObject({
  workspace: z.string().startsWith('/', 'must be absolute'),
  cases: z
    .array(
      z
        .strictObject({
          read: real.optional(),
          write: real.optional(),
          execute: real.optional(),
          connect: z
            .string()
            .refine((text) => readConnection(text), 'must be HOST:PORT, or HOST:PORT by PROGRAM')
            .optional(),
          expect: z.enum(['allow', 'ask', 'deny']),
        })
        .refine(
          ({ expect: _, ...named }) => Object.values(named).filter((path) => path !== undefined).length === 1,
          'must name exactly one of read, write, execute and connect',
        ),
    )
    .min(5, 'must have at least five rows: a table that says less shows little of a policy'),
})

/** Every row with what the policy really answers; the table holds where the two are the same. Throws POLICY_INVALID for either text. */
export function runTable(policy: Document, table: Document): Row[] {
  const { workspace, cases } = parseDocumentAs(table, schema)
  return cases.map(({ expect, ...named }, index) => {
    const access = accessOf(named)
    return { line: table.lineOf(['cases', index]), access, expected: expect, ...explain(policy, access, workspace) }
  })
}

function accessOf({ read, write, execute = '', connect }: { [kind in Access['kind']]?: string | undefined }): Access {
  if (connect !== undefined) return { kind: 'connect', path: connect }
  if (read !== undefined) return { kind: 'read', path: read }
  return write === undefined ? { kind: 'execute', path: execute } : { kind: 'write', path: write }
}
