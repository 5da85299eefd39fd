/** The key of one provider, sealed by itself: who reads the store to know whom it names has no key in memory, and opens none. */
import { openWith, sealWith } from '../../mesh/seal/box.js'

export interface Keyed {
  readonly form: string
  readonly url: string
}

/** Base64. It opens for this name, form and address alone: moved to another, it is of no use there. */
export const sealKey = (sealing: Uint8Array, name: string, to: Keyed, key: string): string =>
  Buffer.from(sealWith(sealing, Buffer.from(key), boundTo(name, to))).toString('base64')

/** Throws UNAUTHENTIC. */
export const openKey = (sealing: Uint8Array, name: string, to: Keyed, sealed: string): string =>
  Buffer.from(openWith(sealing, Buffer.from(sealed, 'base64'), boundTo(name, to))).toString()

const boundTo = (name: string, { form, url }: Keyed): Uint8Array =>
  Buffer.from(JSON.stringify(['clawmesh provider key 1', name, form, url]))
