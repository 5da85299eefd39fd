/**
 * What the arguments of calls are compared with, and what calls fail with, by the names and with the values of the kernel's headers.
 * test/sandbox/filter.test.ts holds them to these.
 */
import type { Architecture } from './calls.js'

export const constants = {
  CLONE_THREAD: 0x10000,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,

  S_ISUID: 0x800,
  S_ISGID: 0x400,
  MAP_SHARED: 0x1,
  MAP_PRIVATE: 0x2,
  MAP_ANONYMOUS: 0x20,

  PR_SET_NAME: 0xf,
  PR_GET_NAME: 0x10,
  PR_SET_PDEATHSIG: 0x1,
  PR_GET_PDEATHSIG: 0x2,
  PR_GET_DUMPABLE: 0x3,
  PR_GET_NO_NEW_PRIVS: 0x27,
  PR_CAPBSET_READ: 0x17,
  PR_SET_VMA: 0x53564d41,

  TCGETS: 0x5401,
  TIOCGWINSZ: 0x5413,
  FIONREAD: 0x541b,
  FIONBIO: 0x5421,
  FIOCLEX: 0x5451,
  FIONCLEX: 0x5450,
  F_SETOWN: 0x8,
  F_SETOWN_EX: 0xf,
  F_NOTIFY: 0x402,
  F_SETLEASE: 0x400,

  O_WRONLY: 0x1,
  O_RDWR: 0x2,
  O_CREAT: 0x40,
  O_TRUNC: 0x200,
  O_PATH: 0x200000,

  AF_UNIX: 0x1,
  AF_INET: 0x2,
  SOCK_STREAM: 0x1,
  SOCK_DGRAM: 0x2,
  MSG_FASTOPEN: 0x20000000,
  SOL_SOCKET: 0x1,
  SO_REUSEADDR: 0x2,
  SO_REUSEPORT: 0xf,
  SO_KEEPALIVE: 0x9,
  SO_LINGER: 0xd,
  SO_SNDBUF: 0x7,
  SO_RCVBUF: 0x8,
  SO_RCVTIMEO: 0x14,
  SO_SNDTIMEO: 0x15,
  SO_PRIORITY: 0xc,
  SO_BROADCAST: 0x6,
  IPPROTO_IP: 0x0,
  IPPROTO_TCP: 0x6,
  IPPROTO_UDP: 0x11,
  TCP_NODELAY: 0x1,
  TCP_CORK: 0x3,
  TCP_KEEPIDLE: 0x4,
  TCP_KEEPINTVL: 0x5,
  TCP_KEEPCNT: 0x6,
  TCP_QUICKACK: 0xc,
  TCP_USER_TIMEOUT: 0x12,
  IP_TOS: 0x1,
  IP_RECVERR: 0xb,
  IP_MTU_DISCOVER: 0xa,
  IP_PKTINFO: 0x8,

  EPERM: 0x1,
  ENOSYS: 0x26,
  ENOTTY: 0x19,
  EAFNOSUPPORT: 0x61,
} as const

/** What the architectures have bits of their own for. */
export const openFlags = {
  x64: { O_DIRECTORY: 0x10000, O_TMPFILE: 0x410000 },
  arm64: { O_DIRECTORY: 0x4000, O_TMPFILE: 0x404000 },
} as const satisfies Record<Architecture, object>
