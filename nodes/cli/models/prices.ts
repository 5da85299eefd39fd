import { type Prices, parsePrices } from '../../../policies/prices.js'
import { readPrices } from '../../agents/model/costs.js'
import { text, type Values } from '../command.js'
import { readNamed } from '../named-file.js'

/** The price table that `--prices` names, or the one that comes with clawmesh. Throws USAGE for a file that cannot be read. */
export function pricesOf(values: Values): Prices {
  const named = text(values, 'prices')
  return named === undefined ? readPrices() : parsePrices(readNamed(named, '--prices'), named)
}
