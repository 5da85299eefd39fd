/*
 * The memory of an action as a whole, which no limit of a process bounds: looked at from outside, some times a second. What is counted is what
 * its processes have written to and nobody else has; what several of them share since a fork is counted once, where the sum of all is too
 * much. An action that takes memory as fast as it can is over by as much as it gets between two looks.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers.h"

static int processes = -1; /* the action's own /proc: its processes, and nobody else's */

static ssize_t read_text(int folder, const char *name, char *text, size_t bytes)
{
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, bytes - 1);
    if (file >= 0)
        close(file);
    text[got < 0 ? 0 : got] = '\0';
    return got;
}

/* By way of any process of the action: process 1 itself is not to be looked into. */
static bool find_processes(pid_t process_one)
{
    char path[64], text[64];
    int child;
    if (processes >= 0)
        return true;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", process_one, process_one);
    if (read_text(AT_FDCWD, path, text, sizeof text) <= 0 || sscanf(text, "%d", &child) != 1)
        return false;
    snprintf(path, sizeof path, "/proc/%d/root/proc", child);
    processes = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return processes >= 0;
}

/* Resident, less what belongs to files: quick to tell, and what is shared since a fork is in it each time. */
static uint64_t own_bytes(const char *process)
{
    char path[64], text[128];
    unsigned long long resident = 0, shared = 0;
    snprintf(path, sizeof path, "%.16s/statm", process);
    if (read_text(processes, path, text, sizeof text) <= 0 || sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident)
        return 0;
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Its part of that, by the kernel's count; where that cannot be had, all of it. */
static uint64_t part_bytes(const char *process)
{
    char path[64], text[2048];
    unsigned long long kib;
    snprintf(path, sizeof path, "%.16s/smaps_rollup", process);
    const char *line = read_text(processes, path, text, sizeof text) > 0 ? strstr(text, "Pss_Anon:") : NULL;
    return line != NULL && sscanf(line, "Pss_Anon: %llu", &kib) == 1 ? kib * 1024 : own_bytes(process);
}

static uint64_t sum(uint64_t (*bytes_of)(const char *process))
{
    uint64_t all = 0;
    int folder = openat(processes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listed = folder < 0 ? NULL : fdopendir(folder);
    for (struct dirent *each; listed != NULL && (each = readdir(listed)) != NULL;)
        if (each->d_name[0] >= '0' && each->d_name[0] <= '9')
            all += bytes_of(each->d_name);
    if (listed != NULL)
        closedir(listed);
    return all;
}

bool memory_is_over(pid_t process_one, uint64_t most)
{
    return find_processes(process_one) && sum(own_bytes) > most && sum(part_bytes) > most;
}
