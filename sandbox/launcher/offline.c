/*
 * A program of our own that has no business with any network: the processes in which native code reads what people ask. It runs in a
 * network namespace of its own, where not even the loopback is up, and otherwise as who started it; nothing is hidden from it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers.h"
#include "report.h"

enum { MAP_MOST = 4096 };

static bool write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    size_t length = strlen(text);
    bool is_written = file >= 0 && write(file, text, length) == (ssize_t)length;
    if (file >= 0)
        close(file);
    return is_written;
}

/* Every id that there is, as itself. */
static bool same_ids(const char *path, char *text)
{
    FILE *map = fopen(path, "re");
    unsigned first, outside, count;
    size_t used = 0;
    while (map && used < MAP_MOST - 64 && fscanf(map, "%u %u %u", &first, &outside, &count) == 3)
        used += (size_t)snprintf(text + used, MAP_MOST - used, "%u %u %u\n", first, first, count);
    if (map)
        fclose(map);
    return used > 0;
}

/* `own`: the one user and the one group that are mapped; NULL: all. */
static bool map_ids(const char *process, const unsigned own[2])
{
    char path[64], text[MAP_MOST];
    const char *const kinds[] = {"uid_map", "gid_map"};
    for (int kind = 0; kind < 2; kind++) {
        snprintf(path, sizeof path, "/proc/%s/setgroups", process);
        /* Who has one id alone may map it only after it has given this up. */
        if (own && kind == 1 && !write_text(path, "deny"))
            return false;
        snprintf(path, sizeof path, "/proc/self/%s", kinds[kind]);
        if (own)
            snprintf(text, sizeof text, "%u %u 1\n", own[kind], own[kind]);
        else if (!same_ids(path, text))
            return false;
        snprintf(path, sizeof path, "/proc/%s/%s", process, kinds[kind]);
        if (!write_text(path, text))
            return false;
    }
    return true;
}

/* Only somebody outside can map more than one id. */
static pid_t mapper(int ends[2])
{
    char process[16], told;
    snprintf(process, sizeof process, "%d", getpid());
    pid_t pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid != 0)
        return pid;
    close(ends[1]);
    _exit(read(ends[0], &told, 1) == 1 && map_ids(process, NULL) ? 0 : 1);
}

int run_offline(char **arguments)
{
    bool is_root = geteuid() == 0, is_mapped;
    const unsigned own[] = {getuid(), getgid()}; /* inside they are nobody's until they are mapped */
    int ends[2], status = 1;
    pid_t outside = is_root ? mapper(ends) : 0;
    if (outside < 0)
        return STAGE_IDENTITY;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return STAGE_NAMESPACES;
    if (is_root)
        is_mapped = write(ends[1], "", 1) == 1 && waitpid(outside, &status, 0) == outside && status == 0;
    else
        is_mapped = map_ids("self", own);
    if (!is_mapped)
        return STAGE_IDENTITY;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return STAGE_PRIVILEGES;
    execv(arguments[0], arguments);
    return STAGE_EXEC;
}
