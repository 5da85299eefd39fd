#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/stat.h>

#include "layers.h"
#include "report.h"

static void limit(__rlimit_resource_t resource, uint64_t value, const char *name)
{
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit(resource, &both) != 0)
        refuse(STAGE_LIMITS, "cannot limit %s", name);
}

/*
 * Memory is RLIMIT_DATA: RLIMIT_AS would stop every program that reserves addresses which it never uses, Node first. Shared memory,
 * which it does not count, cannot be had at all: seccomp refuses anonymous shared maps, memfd and System V, and there is no /dev/zero.
 * Processes are counted in the action's own user namespace, so that two actions never take each other's share; one is process 1.
 */
void limits_set(const struct spec *spec)
{
    limit(RLIMIT_CPU, spec->cpu_seconds, "processor time");
    limit(RLIMIT_DATA, spec->memory_bytes, "memory");
    limit(RLIMIT_STACK, 8 << 20, "the stack");
    limit(RLIMIT_FSIZE, spec->file_bytes, "the size of files");
    limit(RLIMIT_NOFILE, spec->open_files, "open files");
    limit(RLIMIT_NPROC, spec->processes + 1, "processes");
    limit(RLIMIT_CORE, 0, "core files");
    limit(RLIMIT_MEMLOCK, 64 << 10, "locked memory");
    limit(RLIMIT_MSGQUEUE, 0, "message queues");
    limit(RLIMIT_SIGPENDING, 256, "pending signals");
    umask(022);
}
