/*
 * The last layer: which system calls the action may make, and which of them are held. The filter is the client's (sandbox/seccomp), as
 * the rest of what is granted is; the kernel takes it as it is, or nothing is run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

int seccomp_restrict(const struct spec *spec)
{
    struct sock_fprog program = {.len = spec->filter_length, .filter = (struct sock_filter *)spec->filter};
    unsigned long flags = spec_is_governed(spec) ? SECCOMP_FILTER_FLAG_NEW_LISTENER | K_SECCOMP_WAIT_KILLABLE : 0;
    long held = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (held < 0)
        refuse(STAGE_SECCOMP, "cannot install the filter");
    return (int)held;
}
