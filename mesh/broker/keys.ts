/** The keys behind the broker's users: NATS seeds, one for each part that a user can play. They stay with the authority. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAccount, createOperator, fromSeed, type KeyPair } from '@nats-io/nkeys'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { writeWhole } from '../disk.js'

export interface BrokerKeys {
  readonly operator: KeyPair
  /** Three accounts: the broker's own, the mesh's traffic, and the audit stream, which members reach by one service alone. */
  readonly system: KeyPair
  readonly mesh: KeyPair
  readonly audit: KeyPair
  /** Sign users of the mesh's account who may do what the scope of the key says, and cannot sign any other. */
  readonly member: KeyPair
  readonly supervisor: KeyPair
  readonly joiner: KeyPair
}

const seed = z.string().regex(/^S[A-Z2-7]{57}$/)
const storedSchema = z.object({
  operator: seed,
  system: seed,
  mesh: seed,
  audit: seed,
  member: seed,
  supervisor: seed,
  joiner: seed,
})

export function createBrokerKeys(): BrokerKeys {
  return {
    operator: createOperator(),
    system: createAccount(),
    mesh: createAccount(),
    audit: createAccount(),
    member: createAccount(),
    supervisor: createAccount(),
    joiner: createAccount(),
  }
}

/** Opens the keys kept in `folder`, or makes them there; their file can be read by its owner alone. */
export function openBrokerKeys(folder: string): BrokerKeys {
  const file = join(folder, 'broker.json')
  if (existsSync(file)) return load(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keys = createBrokerKeys()
  writeWhole(file, JSON.stringify(mapKeys(keys, seedOf), null, 2))
  return keys
}

function load(file: string): BrokerKeys {
  try {
    const pair = (text: string) => fromSeed(new TextEncoder().encode(text))
    return mapKeys(storedSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), pair)
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', `The broker's key file ${file} is damaged.`, {
      hint: 'Restore it from a backup. Without it, nodes that joined from other machines must be invited again.',
      cause,
    })
  }
}

function mapKeys<A, B>(keys: Record<keyof BrokerKeys, A>, change: (key: A) => B): Record<keyof BrokerKeys, B> {
  const { operator, system, mesh, audit, member, supervisor, joiner } = keys
  return {
    operator: change(operator),
    system: change(system),
    mesh: change(mesh),
    audit: change(audit),
    member: change(member),
    supervisor: change(supervisor),
    joiner: change(joiner),
  }
}

export const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed())
