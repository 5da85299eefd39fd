/** What a machine has of its login to one MCP server: the secret that a person gave, and what the authorization server gave. One file that only its owner can read, sealed by a key of this node. */
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { writeWhole } from '../../../mesh/disk.js'
import { openWith, sealWith } from '../../../mesh/seal/box.js'
import { digest, type SigningKey, utf8 } from '../../../mesh/seal/keys.js'
import { readPrivate } from '../../../router/provider/store.js'
import type { Login } from './login.js'

const keptSchema = z.object({
  /** What all of it is for: it goes to nobody else who is called by the same name later. */
  for: z.string().optional(),
  /** Of the client: what it was given when it was registered by a person, or a private key. */
  secret: z.string().optional(),
  /** As the authorization server wrote them, with its name. */
  client: z.record(z.string(), z.unknown()).optional(),
  tokens: z.record(z.string(), z.unknown()).optional(),
  /** Where the authorization server was found. */
  discovery: z.record(z.string(), z.unknown()).optional(),
  /** Of a person at the identity provider of this name, by the client of this number: its secret, and what was said of the person. */
  identity: z
    .object({
      issuer: z.string(),
      client: z.string(),
      secret: z.string().optional(),
      idToken: z.string().optional(),
      refreshToken: z.string().optional(),
    })
    .optional(),
  /** What the server has asked for and the tokens do not allow: it takes another login. */
  wanted: z.string().optional(),
})
export type KeptLogin = Omit<z.output<typeof keptSchema>, 'for'>

/** As the file of servers has it. */
interface Server {
  readonly name: string
  readonly url?: string
  readonly login?: Login | undefined
}

const bound = utf8('clawmesh mcp login 1')

export class LoginFile {
  readonly #path: string
  readonly #for: string
  readonly #key: Uint8Array

  /** `folder`: of the node that runs the server, whose key seals it. */
  constructor(folder: string, server: Server, signing: SigningKey) {
    this.#path = join(folder, 'mcp-logins', `${server.name}.sealed`)
    this.#for = placeOf(server)
    this.#key = digest(utf8('clawmesh mcp login 1\0'), signing.secretKey)
  }

  /** Nothing where it is for another server, or another client of it. Throws DENIED for a file that others can read, and UNAUTHENTIC for one that was changed. */
  read(): KeptLogin {
    if (!existsSync(this.#path)) return {}
    const opened = new TextDecoder().decode(openWith(this.#key, readPrivate(this.#path), bound))
    const { for: place, ...kept } = keptSchema.parse(JSON.parse(opened))
    return place === this.#for ? kept : {}
  }

  /** Undefined removes. */
  change(parts: { [K in keyof KeptLogin]?: KeptLogin[K] | undefined }): void {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
    const next = Object.fromEntries(
      Object.entries({ ...this.read(), ...parts, for: this.#for }).filter(([, value]) => value !== undefined),
    )
    writeWhole(this.#path, sealWith(this.#key, utf8(JSON.stringify(next)), bound))
  }

  /** False where there was none. */
  remove(): boolean {
    const was = existsSync(this.#path)
    rmSync(this.#path, { force: true })
    return was
  }
}

function placeOf({ url = '', login }: Server): string {
  const { client = '', issuer = '' } = { client: undefined, issuer: undefined, ...login }
  return JSON.stringify([url, login?.as ?? '', client, issuer])
}
