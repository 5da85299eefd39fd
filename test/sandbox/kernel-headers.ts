/** The numbers of sandbox/seccomp beside those of the kernel's headers, as a C program that compiles only where they agree. */
import { type Architecture, callNames, numberOf } from '../../sandbox/seccomp/calls.js'
import { constants, openFlags } from '../../sandbox/seccomp/constants.js'

/** What headers are too old to have is told by a message of the compiler. */
export function headersProgram(architecture: Architecture): string {
  const calls = callNames.map((call) => {
    const number = numberOf(call, architecture)
    if (number === undefined) return `#ifdef __NR_${call}\n#error "${call} exists"\n#endif`
    return asserted(`__NR_${call}`, number)
  })
  const values = Object.entries({ ...constants, ...openFlags[architecture] })
  return `#define _GNU_SOURCE
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
${calls.join('\n')}
${values.map(([name, value]) => (name.startsWith('PR_') ? asserted(name, value) : holds(name, value))).join('\n')}
`
}

const holds = (name: string, value: number) => `_Static_assert(${name} == ${value}, "${name}");`

const asserted = (name: string, value: number) => `#ifdef ${name}
${holds(name, value)}
#else
#pragma message("${name} is newer")
#endif`
