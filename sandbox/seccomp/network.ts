/**
 * What an action with a network may do with sockets beyond others: TCP and UDP of the old Internet protocol, in a namespace that no packet
 * leaves. A connect is held for whoever decides it, and never goes on by itself.
 */
import type { CallName } from './calls.js'
import { constants } from './constants.js'
import { allowed, type Decision, denied, hasAny, held, isOneOf } from './decision.js'

const { EPERM, EAFNOSUPPORT } = constants

/** The low bits of a socket's kind; above them it may be non-blocking, or closed at exec. */
export const socketKind = 0xf

/** The options that a socket of a network may be given, by level: how it waits, how much it buffers, how it keeps alive. */
const options: readonly (readonly [level: number, names: readonly number[]])[] = [
  [
    constants.SOL_SOCKET,
    [
      constants.SO_REUSEADDR,
      constants.SO_REUSEPORT,
      constants.SO_KEEPALIVE,
      constants.SO_LINGER,
      constants.SO_SNDBUF,
      constants.SO_RCVBUF,
      constants.SO_RCVTIMEO,
      constants.SO_SNDTIMEO,
      constants.SO_PRIORITY,
      constants.SO_BROADCAST,
    ],
  ],
  [
    constants.IPPROTO_TCP,
    [
      constants.TCP_NODELAY,
      constants.TCP_CORK,
      constants.TCP_KEEPIDLE,
      constants.TCP_KEEPINTVL,
      constants.TCP_KEEPCNT,
      constants.TCP_QUICKACK,
      constants.TCP_USER_TIMEOUT,
    ],
  ],
  [constants.IPPROTO_IP, [constants.IP_TOS, constants.IP_RECVERR, constants.IP_MTU_DISCOVER, constants.IP_PKTINFO]],
]

/** TCP or UDP, of version 4, and the protocol that goes with each. */
function socket(): Decision {
  const { AF_INET, SOCK_STREAM, SOCK_DGRAM, IPPROTO_TCP, IPPROTO_UDP } = constants
  const refused = denied(EAFNOSUPPORT)
  const speaks = (protocol: number) => isOneOf(2, [0, protocol], allowed, refused)
  const datagram = isOneOf(1, [SOCK_DGRAM], speaks(IPPROTO_UDP), refused, socketKind)
  const kind = isOneOf(1, [SOCK_STREAM], speaks(IPPROTO_TCP), datagram, socketKind)
  return isOneOf(0, [AF_INET], kind, refused)
}

function setsockopt(): Decision {
  return options.reduceRight<Decision>(
    (others, [level, names]) => isOneOf(1, [level], isOneOf(2, names, allowed, denied(EPERM)), others),
    denied(EPERM),
  )
}

/** A send that connects first is a connect that nobody holds. */
const unlessItConnects = (flags: number) => hasAny(flags, constants.MSG_FASTOPEN, denied(EPERM), allowed)

export const networkDecisions: readonly (readonly [CallName, Decision])[] = [
  ['connect', held],
  ['socket', socket()],
  ['setsockopt', setsockopt()],
  ['sendto', unlessItConnects(3)],
  ['sendmsg', unlessItConnects(2)],
  ['sendmmsg', unlessItConnects(3)],
  // Some C libraries bind before they ask for a name; Landlock refuses it to TCP.
  ['bind', allowed],
]
