/**
 * The system calls that an action may make, as the program by which the kernel decides on each. Pure: the same terms give the same bytes,
 * which are made once. A call by another architecture's numbers kills.
 *
 *     filterOf({ architecture: 'x64', without: ['sockets'], network: false, opens: undefined, deeds: false })
 */

import { codeOf } from './code.js'
import { constants } from './constants.js'
import { denied } from './decision.js'
import { decisionsOf, type FilterTerms } from './decisions.js'

const made = new Map<string, Buffer>()

/** An array of `struct sock_filter`. */
export function filterOf(terms: FilterTerms): Buffer {
  const { architecture, without, network, opens, deeds } = terms
  const key = [architecture, network, opens, deeds, ...[...new Set(without)].sort()].join(' ')
  const known = made.get(key)
  if (known) return known
  const filter = codeOf(architecture, decisionsOf(terms), denied(constants.EPERM))
  made.set(key, filter)
  return filter
}
