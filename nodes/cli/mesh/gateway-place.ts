/** Where the options of `up` have the gateway listen, and what it shows there; kept in the data folder, so that it is at the same place after a reboot. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { writeWhole } from '../../../mesh/disk.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { GatewayTls } from '../../authority/gateway-tls.js'
import { type GatewayAddress, parseGatewayAddress, parseGatewayListen } from '../../gateway/http/address.js'
import { readTls } from '../../gateway/http/tls.js'
import { text, type Values } from '../command.js'

export interface GatewayPlace extends GatewayAddress {
  /** Beyond this machine, and so over TLS. */
  beyond: boolean
  /** What it shows, if that was given. */
  tls?: GatewayTls
}

/** The options as they were typed, files by paths that mean the same from anywhere. */
const saidSchema = z.strictObject({
  gateway: z.string().exactOptional(),
  'gateway-listen': z.string().exactOptional(),
  'gateway-certificate': z.string().exactOptional(),
  'gateway-key': z.string().exactOptional(),
})
type Said = z.output<typeof saidSchema>

const fileOf = (data: string) => join(data, 'gateway.json')

/** What is said now, or else what was said last time: one place is not mixed with another. Nothing for `--gateway none`. */
export function recallGateway(data: string, values: Values): Said {
  const [certificate, key] = [text(values, 'gateway-certificate'), text(values, 'gateway-key')]
  const given = {
    gateway: text(values, 'gateway'),
    'gateway-listen': text(values, 'gateway-listen'),
    'gateway-certificate': certificate === undefined ? undefined : resolve(certificate),
    'gateway-key': key === undefined ? undefined : resolve(key),
  }
  const said = saidSchema.parse(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)))
  if (Object.keys(said).length > 0) return said.gateway === 'none' ? {} : said
  if (!existsSync(fileOf(data))) return {}
  try {
    return saidSchema.parse(JSON.parse(readFileSync(fileOf(data), 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${fileOf(data)} cannot be read.`, {
      hint: 'Remove it, and say where the gateway listens once more.',
      cause,
    })
  }
}

export const keepGateway = (data: string, said: Said): void => writeWhole(fileOf(data), JSON.stringify(said, null, 2))

/** Throws USAGE, before anything is started, for what could not be kept. */
export function gatewayPlace(values: Values): GatewayPlace | undefined {
  const [here, beyond] = [text(values, 'gateway'), text(values, 'gateway-listen')]
  const [certificate, key] = [text(values, 'gateway-certificate'), text(values, 'gateway-key')]
  if (here !== undefined && beyond !== undefined)
    throw new ClawmeshError('USAGE', 'There is one gateway: --gateway or --gateway-listen.', {
      hint: '--gateway-listen is reached from this machine too, as https://localhost.',
    })
  if ((certificate === undefined) !== (key === undefined) || (certificate !== undefined && beyond === undefined))
    throw new ClawmeshError('USAGE', 'A certificate for the gateway needs its key, and --gateway-listen.', {
      hint: 'Give --gateway-listen, --gateway-certificate and --gateway-key together, or --gateway-listen alone: the mesh then signs one.',
    })
  if (beyond === undefined) return here === undefined ? undefined : { ...parseGatewayAddress(here), beyond: false }
  const tls = certificate !== undefined && key !== undefined ? readTls(certificate, key, Date.now()) : undefined
  return { ...parseGatewayListen(beyond), beyond: true, ...(tls ? { tls } : {}) }
}
