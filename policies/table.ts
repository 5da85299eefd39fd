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
          expect: z.enum(['allow', 'ask', 'deny']),
        })
        .refine(
          ({ read, write, execute }) => [read, write, execute].filter((path) => path !== undefined).length === 1,
          'must name exactly one of read, write and execute',
        ),
    )
    .min(5, 'must have at least five rows'),
})

/** Every row with what the policy really answers; the table holds where the two are the same. Throws POLICY_INVALID for either text. */
export function runTable(policy: Document, table: Document): Row[] {
  const { workspace, cases } = parseDocumentAs(table, schema)
  return cases.map(({ expect, ...named }, index) => {
    const access = accessOf(named)
    return { line: table.lineOf(['cases', index]), access, expected: expect, ...explain(policy, access, workspace) }
  })
}

function accessOf({ read, write, execute = '' }: { [kind in Access['kind']]?: string | undefined }): Access {
  if (read !== undefined) return { kind: 'read', path: read }
  return write === undefined ? { kind: 'execute', path: execute } : { kind: 'write', path: write }
}
