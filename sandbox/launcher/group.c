#define _GNU_SOURCE
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

enum { FOLDERS = 2, WAITING = 256, NAME_BYTES = 24 };

/* One in each hierarchy. `group` is the worker's own below it. */
static struct folder {
    const char *path;
    bool pids, memory;
    int group;
} folders[FOLDERS];
static size_t folder_count;

static unsigned long number;
static int sweeper = -1; /* the pool's way to it */
static int events = -1;

static struct folder *folder_at(const char *path)
{
    for (size_t i = 0; i < folder_count; i++)
        if (strcmp(folders[i].path, path) == 0)
            return &folders[i];
    errno = 0;
    if (folder_count == FOLDERS || path[0] != '/')
        refuse(STAGE_POOL, "no folder for groups: %s", path);
    folders[folder_count] = (struct folder){.path = path, .group = -1};
    return &folders[folder_count++];
}

void groups_use(char **words)
{
    for (; words[0] != NULL && words[1] != NULL; words += 2) {
        struct folder *folder = folder_at(words[1]);
        folder->pids |= strcmp(words[0], "pids") == 0;
        folder->memory |= strcmp(words[0], "memory") == 0;
        if (!folder->pids && !folder->memory)
            refuse(STAGE_POOL, "groups that limit '%.40s'", words[0]);
    }
    if (words[0] != NULL)
        refuse(STAGE_POOL, "groups without a folder");
}

/* False where there is no such file; anything else that is not written refuses. */
static bool set(int group, const char *file, const char *value)
{
    int open_file = openat(group, file, O_WRONLY | O_CLOEXEC);
    if (open_file < 0 && errno == ENOENT)
        return false;
    if (open_file < 0 || write(open_file, value, strlen(value)) != (ssize_t)strlen(value))
        refuse(STAGE_LIMITS, "cannot write %s of the action's group", file);
    close(open_file);
    return true;
}

static void require(int group, const char *file, unsigned long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", value);
    errno = ENOENT;
    if (!set(group, file, text))
        refuse(STAGE_LIMITS, "no %s in the action's group", file);
}

void group_enter(pid_t process_one)
{
    for (struct folder *folder = folders; folder < folders + folder_count; folder++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%lu", folder->path, number);
        if (folder->group < 0 && mkdir(path, 0755) == 0)
            folder->group = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder->group < 0)
            refuse(STAGE_LIMITS, "cannot make the action's group %s", path);
        require(folder->group, "cgroup.procs", (unsigned long long)process_one);
    }
}

/*
 * What the look from outside (memory.c) finds by itself is over sooner: here the private /tmp counts as well, and what the kernel needs for the
 * action. This is for what is taken between two looks.
 */
static unsigned long long memory_most(const struct spec *spec)
{
    return spec->memory_total_bytes + spec->memory_total_bytes / 32 + spec->tmp_bytes + (16 << 20);
}

static void limit_memory(int group, const struct spec *spec)
{
    char most[24];
    snprintf(most, sizeof most, "%llu", memory_most(spec));
    bool is_second = set(group, "memory.max", most);
    if (is_second) {
        set(group, "memory.swap.max", "0");
        set(group, "memory.oom.group", "1");
    } else {
        require(group, "memory.limit_in_bytes", memory_most(spec));
        set(group, "memory.memsw.limit_in_bytes", most);
    }
    events = openat(group, is_second ? "memory.events" : "memory.oom_control", O_RDONLY | O_CLOEXEC);
    if (events < 0)
        refuse(STAGE_LIMITS, "cannot see what becomes of the action's group");
}

void group_limit(const struct spec *spec)
{
    for (const struct folder *folder = folders; folder < folders + folder_count; folder++) {
        if (folder->pids)
            require(folder->group, "pids.max", spec->processes + 1); /* and process 1, as in limits.c */
        if (folder->memory)
            limit_memory(folder->group, spec);
    }
}

bool group_is_over(void)
{
    char text[512];
    unsigned long ended = 0;
    ssize_t got = events < 0 ? -1 : pread(events, text, sizeof text - 1, 0);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *line = strstr(text, "\noom_kill ");
    return line != NULL && sscanf(line, " oom_kill %lu", &ended) == 1 && ended > 0;
}

/* One that still holds a process that is ending, or is gone already, is left. */
static bool remove_group(const char *name)
{
    bool is_gone = true;
    for (const struct folder *folder = folders; folder < folders + folder_count; folder++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder->path, name);
        if (rmdir(path) == 0 || errno == ENOENT)
            continue;
        is_gone = false;
        snprintf(path, sizeof path, "%s/%s/cgroup.kill", folder->path, name);
        int end = open(path, O_WRONLY | O_CLOEXEC); /* the second version has it; in the first the kernel ends them with process 1 */
        if (end >= 0 && write(end, "1", 1) == 1)
            errno = 0;
        if (end >= 0)
            close(end);
    }
    return is_gone;
}

static bool remove_all(void)
{
    bool is_gone = true;
    for (const struct folder *folder = folders; folder < folders + folder_count; folder++) {
        DIR *listed = opendir(folder->path);
        for (struct dirent *each; listed != NULL && (each = readdir(listed)) != NULL;)
            if (each->d_type == DT_DIR && each->d_name[0] != '.')
                remove_group(each->d_name);
        if (listed != NULL)
            closedir(listed);
        is_gone &= rmdir(folder->path) == 0 || errno == ENOENT;
    }
    return is_gone;
}

static void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* Groups whose workers have ended, one after another; with the end of the pool all of them, and the folders they lie in. */
static void __attribute__((noreturn)) sweep(int pool)
{
    enum { AGAIN_MS = 20, LAST_TRIES = 500 };
    static char waiting[WAITING][NAME_BYTES];
    size_t count = 0;
    for (;;) {
        unsigned long of;
        struct pollfd word = {.fd = pool, .events = POLLIN};
        int ready = poll(&word, 1, count > 0 ? AGAIN_MS : -1);
        if (ready > 0) {
            ssize_t got = recv(pool, &of, sizeof of, 0);
            if (got == 0 || (got < 0 && errno != EINTR))
                break;
            if (got == sizeof of && count < WAITING) /* else it goes with the rest, at the end */
                snprintf(waiting[count++], NAME_BYTES, "%lu", of);
        }
        for (size_t i = count; i-- > 0;)
            if (remove_group(waiting[i]) && i != --count)
                memcpy(waiting[i], waiting[count], NAME_BYTES);
    }
    for (int tries = 0; tries < LAST_TRIES && !remove_all(); tries++)
        pause_ms(AGAIN_MS);
    _exit(0);
}

void groups_begin(void)
{
    int ends[2];
    if (folder_count == 0)
        return;
    if (!pass_pair(ends))
        refuse(STAGE_POOL, "cannot make a pair of sockets");
    pid_t pid = fork();
    if (pid < 0)
        refuse(STAGE_POOL, "cannot start what removes groups");
    if (pid == 0) {
        if (dup2(ends[1], CONTROL) < 0)
            _exit(STAGE_POOL);
        close_from(CONTROL + 1);
        sweep(CONTROL);
    }
    close(ends[1]);
    sweeper = ends[0];
}

unsigned long groups_number(void)
{
    return ++number;
}

void groups_remove(unsigned long of)
{
    if (sweeper >= 0)
        send(sweeper, &of, sizeof of, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int group_is_delegated(const char *folder)
{
    char value[8];
    const char *const names[] = {"trusted.delegate", "user.delegate"}; /* systemd's words for it */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getxattr(folder, names[i], value, sizeof value) == 1 && value[0] == '1')
            return 0;
    return 1;
}
