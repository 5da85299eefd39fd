/** Policies as the gateway shows them: those that come with clawmesh, and the versions of the mesh's own with what each node made of them. */
import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import { readDocument } from '../../../policies/document.js'
import { runTable } from '../../../policies/table.js'
import { presetNames } from '../../../sandbox/index.js'
import { readPolicy } from '../../../sandbox/preset.js'
import type { PolicyBook } from '../../authority/policy-book.js'
import { driftOf, policyAdvertSchema } from '../../process/standing-policy.js'
import type { policiesSchema, policyVersionsSchema } from './schema.js'

/** Each with its truth table and what it answers. */
export async function presets(): Promise<z.output<typeof policiesSchema>> {
  const names = await presetNames()
  return { policies: await Promise.all(names.map(withTable)) }
}

async function withTable(named: string) {
  const { name, text, path } = await readPolicy(named)
  const table = await readFile(path.replace(/\.yaml$/, '.test.yaml'), 'utf8')
  const rows = runTable(readDocument(text, name), readDocument(table, `${name}.test.yaml`))
  return {
    name,
    text,
    table: rows.map(({ access, expected, answer, because }) => ({ ...access, expected, answer, because })),
  }
}

/** Throws UNAUTHENTIC where a version was changed or is not there. */
export function versionsOf(book: PolicyBook, node: MeshNode): z.output<typeof policyVersionsSchema> {
  const newest = node.directory.policy
  const versions = book.editions().map(({ version, time, by, name, reason, text, hash }) => {
    return { version, time: new Date(time).toISOString(), by, name, reason, text, hash }
  })
  const nodes = node.nodes().flatMap(({ name, advert }) => {
    const policy = policyAdvertSchema.safeParse(advert['policy']).data
    if (!policy) return []
    const drift = driftOf(policy, newest) ?? null
    return [{ name, policy: policy.name, version: policy.version, follows: policy.follows, drift }]
  })
  return { inForce: newest?.version ?? null, versions, nodes }
}
