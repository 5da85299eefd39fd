#define _GNU_SOURCE
#include "opens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "held.h"
#include "image.h"
#include "kernel.h"
#include "layers.h"
#include "report.h"

enum { OPENS = 64, MOST_TOLD = 20000, PATH_BYTES = 4096, WRITES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC };

static struct held_open {
    uint32_t id; /* 0: free */
    uint64_t call;
    bool close_at_exec, asked;
} opens[OPENS];

static uint32_t last_id;
static unsigned told_writes;
static size_t held, asked;
static int64_t asked_since_us, waited_us;
static int door = -1, root = -1;

/* What the action wants, as it was when we looked: what it does with its memory from here on changes nothing. */
struct wanted {
    pid_t thread;
    int folder;
    unsigned flags, mode;
    char path[PATH_BYTES];
    bool is_real; /* no link can be on it: a name in a folder, opened without following one */
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int64_t opens_waited_us(void)
{
    return waited_us + (asked > 0 ? now_us() - asked_since_us : 0);
}

static struct held_open *find(uint32_t id)
{
    for (struct held_open *each = opens; each < opens + OPENS; each++)
        if (each->id == id)
            return each;
    return NULL;
}

static void hold(struct held_open *open, const struct seccomp_notif *call, bool close_at_exec)
{
    *open = (struct held_open){.id = ++last_id, .call = call->id, .close_at_exec = close_at_exec};
    held++;
}

static void wait_for_person(struct held_open *open)
{
    if (!open->asked && asked++ == 0)
        asked_since_us = now_us();
    open->asked = true;
}

static void let_go(struct held_open *open)
{
    if (open->asked && --asked == 0)
        waited_us += now_us() - asked_since_us;
    open->id = 0;
    held--;
}

/* A page at a time: behind the end of the path there may be nothing. */
static bool copy_path(pid_t thread, uint64_t address, char *path)
{
    for (size_t have = 0; have < PATH_BYTES;) {
        size_t page = PATH_BYTES - (address + have) % PATH_BYTES, rest = PATH_BYTES - have;
        struct iovec here = {path + have, page < rest ? page : rest}, there = {(void *)(uintptr_t)(address + have), here.iov_len};
        ssize_t got = process_vm_readv(thread, &here, 1, &there, 1, 0);
        if (got <= 0)
            return false;
        if (memchr(path + have, '\0', (size_t)got) != NULL)
            return path[0] != '\0';
        have += (size_t)got;
    }
    return false; /* longer than a path can be */
}

static bool read_call(const struct seccomp_notif *call, struct wanted *wanted)
{
    const __u64 *arguments = call->data.args;
    wanted->thread = (pid_t)call->pid;
    wanted->folder = AT_FDCWD;
    if (call->data.nr == SYS_openat)
        wanted->folder = (int)*arguments++;
    wanted->flags = (unsigned)arguments[1];
    wanted->mode = (unsigned)arguments[2];
#ifdef SYS_creat
    if (call->data.nr == SYS_creat) {
        wanted->flags = O_CREAT | O_WRONLY | O_TRUNC;
        wanted->mode = (unsigned)arguments[1];
    }
#endif
    return copy_path(wanted->thread, arguments[0], wanted->path);
}

static bool read_link(const char *link, char *target)
{
    ssize_t length = readlink(link, target, PATH_BYTES);
    if (length <= 0 || length == PATH_BYTES)
        return false;
    target[length] = '\0';
    return target[0] == '/';
}

/* Puts the folder before the path that it is meant from, by the kernel's own name for it. */
static bool make_absolute(struct wanted *wanted)
{
    char link[64], folder[PATH_BYTES];
    wanted->is_real = false;
    if (wanted->path[0] == '/')
        return true;
    wanted->is_real = wanted->flags & O_NOFOLLOW && strchr(wanted->path, '/') == NULL && wanted->path[0] != '.';
    if (wanted->folder == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/%d/cwd", wanted->thread);
    else
        snprintf(link, sizeof link, "/proc/%d/fd/%d", wanted->thread, wanted->folder);
    if (!read_link(link, folder))
        return false;
    size_t before = strlen(folder), length = strlen(wanted->path);
    if (before + 1 + length >= PATH_BYTES)
        return false;
    memmove(wanted->path + before + 1, wanted->path, length + 1);
    memcpy(wanted->path, folder, before);
    wanted->path[before] = '/';
    return true;
}

/* All processes of the action have the same root, and cannot change it. */
static bool find_root(pid_t thread)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/root", thread);
    if (root < 0)
        root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root >= 0;
}

static int open_inside(const char *path, uint64_t flags, uint64_t resolve)
{
    struct k_open_how how = {O_PATH | O_CLOEXEC | flags, 0, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_MAGICLINKS | resolve};
    return (int)syscall(NR_openat2, root, path, &how, sizeof how);
}

/* No part of it is empty, '.' or '..', so that without a link it is its own real path. */
static bool is_plain(const char *path)
{
    for (const char *part = path; *part != '\0'; part += 1 + strcspn(part + 1, "/")) {
        size_t length = strcspn(part + 1, "/");
        if (length == 0 || (part[1] == '.' && (length == 1 || (length == 2 && part[2] == '.'))))
            return false;
    }
    return true;
}

/* MISSING: there is nothing, and no link on the way to it; NOWHERE: there is nothing where it leads. */
enum sight { FOUND, MISSING, NOWHERE, HIDDEN };

/* Where a path leads inside, by the kernel's own lookup and name. */
static enum sight look(const char *path, unsigned flags, char *real)
{
    char link[64];
    bool plain = is_plain(path);
    int place = plain ? open_inside(path, 0, K_RESOLVE_NO_SYMLINKS) : -1;
    if (place >= 0) {
        close(place);
        strcpy(real, path);
        return FOUND;
    }
    if (plain && errno == ENOENT)
        return MISSING;
    place = open_inside(path, flags & O_NOFOLLOW, 0);
    if (place < 0)
        return errno == ENOENT ? NOWHERE : HIDDEN;
    snprintf(link, sizeof link, "/proc/self/fd/%d", place);
    bool found = read_link(link, real);
    close(place);
    return found ? FOUND : HIDDEN;
}

/* Whether there is anything there for us on the machine itself; what we may not look at may be. */
static bool is_outside(const char *path)
{
    struct k_open_how how = {O_PATH | O_CLOEXEC, 0, K_RESOLVE_NO_MAGICLINKS};
    int place = (int)syscall(NR_openat2, AT_FDCWD, path, &how, sizeof how);
    if (place >= 0)
        close(place);
    return place >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP);
}

/* The mount that decides on a path; NULL where there is none. */
static const struct mount *mount_of(const struct spec *spec, const char *path)
{
    const struct mount *deepest = NULL;
    size_t depth = 0;
    for (const struct mount *each = spec->mounts; each < spec->mounts + spec->mount_count; each++) {
        size_t length = strlen(each->target);
        bool is_above = strncmp(each->target, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
        if (is_above && length > depth && each->access != ACCESS_PIN) {
            deepest = each;
            depth = length;
        }
    }
    return deepest;
}

/* /tmp, /proc and the devices are the action's own, and no files of the machine's: nobody is asked about them. */
static bool is_own(const struct mount *mount)
{
    return mount != NULL && (mount->source == NULL || mount->access == ACCESS_DEVICE);
}

/* Nothing to decide: it is granted, or the action's own. */
static bool is_settled(const struct spec *spec, const char *path, unsigned flags)
{
    const struct mount *mount = mount_of(spec, path);
    return is_own(mount) || (mount != NULL && (mount->access == ACCESS_WRITE || !(flags & WRITES)));
}

/*
 * Paths in what is only read that were looked up and lead into what is only read: programs open the same ones over and over. The kernel
 * decides each open all the same.
 */
enum { KNOWN_PATHS = 256, KNOWN_BYTES = 256 };
static char known[KNOWN_PATHS][KNOWN_BYTES];

static char *place_of_known(const char *path)
{
    uint32_t hash = 2166136261u;
    for (const char *at = path; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return known[hash % KNOWN_PATHS];
}

static bool is_known(const char *path, unsigned flags)
{
    return !(flags & WRITES) && strcmp(place_of_known(path), path) == 0;
}

static bool is_only_read(const struct mount *mount)
{
    return mount != NULL && mount->access != ACCESS_WRITE;
}

/* What lies in no mount lies in the root that is ours, which nothing changes. */
static void make_known(const char *path, const struct mount *from, const struct mount *to)
{
    if (strlen(path) < KNOWN_BYTES && (from == NULL || is_only_read(from)) && is_only_read(to))
        strcpy(place_of_known(path), path);
}

/* Makes the path the real one where there is something inside; false where the client has nothing to decide. */
static bool is_open_question(const struct spec *spec, struct wanted *wanted)
{
    char real[PATH_BYTES];
    const struct mount *mount = mount_of(spec, wanted->path);
    if (is_own(mount) || is_known(wanted->path, wanted->flags))
        return false;
    if (wanted->is_real && !(wanted->flags & O_CREAT) && is_settled(spec, wanted->path, wanted->flags))
        return false;
    enum sight sight = look(wanted->path, wanted->flags, real);
    if (sight == FOUND) {
        make_known(wanted->path, mount, mount_of(spec, real));
        strcpy(wanted->path, real);
        /* What exists is opened for reading, though it could have been made. */
        return !is_settled(spec, real, wanted->flags & ~(unsigned)O_CREAT);
    }
    if (sight == HIDDEN)
        return false;
    if (!(wanted->flags & O_CREAT)) /* what is missing in a mount is missing on the machine too: they are the same folder */
        return !(sight == MISSING && mount != NULL) && is_outside(wanted->path);
    char *name = strrchr(wanted->path, '/');
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%.*s", name == wanted->path ? 1 : (int)(name - wanted->path), wanted->path);
    if (look(folder, 0, real) != FOUND)
        return true;
    if (strlen(real) + strlen(name) >= PATH_BYTES)
        return false;
    char made[2 * PATH_BYTES];
    snprintf(made, sizeof made, "%s%s", strcmp(real, "/") == 0 ? "" : real, name);
    strcpy(wanted->path, made);
    return !is_settled(spec, wanted->path, wanted->flags);
}

/* A file that is made for a program is as closed to others as one that it makes itself; where its mask cannot be read, to all others. */
static unsigned masked(unsigned mode, pid_t thread)
{
    char line[LINE_BYTES];
    unsigned mask = 077;
    snprintf(line, sizeof line, "/proc/%d/status", thread);
    FILE *status = fopen(line, "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL && sscanf(line, "Umask: %o", &mask) != 1)
        ;
    if (status != NULL)
        fclose(status);
    return mode & ~mask;
}

/* Of what is granted for writing, by the path that the look has left. The client is told of one more than it may be, and of nothing after that. */
static void tell_write(const struct spec *spec, const struct wanted *wanted)
{
    const struct mount *mount = mount_of(spec, wanted->path);
    if (!(wanted->flags & WRITES) || is_own(mount) || mount == NULL || mount->access != ACCESS_WRITE || told_writes++ > MOST_TOLD)
        return;
    size_t length = strlen(wanted->path);
    memcpy(frame_room(), wanted->path, length);
    frame_start(FRAME_WROTE, length, MSG_DONTWAIT);
}

void opens_take(const struct spec *spec, const struct seccomp_notif *call)
{
    static struct wanted wanted;
    struct held_open *open = find(0);
    bool is_clear = open != NULL && read_call(call, &wanted) && make_absolute(&wanted) && find_root(wanted.thread);
    bool is_question = is_clear && is_open_question(spec, &wanted);
    bool is_told = is_question && spec->opens != HOLD_NONE && last_id < MOST_TOLD /* whoever asks so much wants to keep the client busy */;
    if (is_clear && !is_question && spec->deeds)
        tell_write(spec, &wanted);
    if (is_told && wanted.flags & O_CREAT)
        wanted.mode = masked(wanted.mode, wanted.thread);
    /* Only where it lasts was it this thread's memory, and that matters only where somebody is asked. */
    if (!is_told || !held_lasts(call->id)) {
        held_continue(call->id);
        return;
    }
    hold(open, call, wanted.flags & O_CLOEXEC);
    int length = snprintf(frame_room(), FRAME_BYTES, "open %u %d %u %u %llx %s", open->id, wanted.thread, wanted.flags, wanted.mode,
                          (unsigned long long)image_of(wanted.thread), wanted.path);
    frame_start(FRAME_OPEN, (size_t)length, MSG_DONTWAIT);
}

void opens_order(char *words)
{
    unsigned id, error;
    struct held_open *open = NULL;
    if (sscanf(words, "asked %u", &id) == 1) {
        if (id != 0 && (open = find(id)) != NULL)
            wait_for_person(open);
        return;
    }
    if (sscanf(words, "refuse %u %u", &id, &error) == 2 && error > 0 && error < 4096 && id != 0 && (open = find(id)) != NULL)
        held_answer(open->call, (int)error);
    else if (sscanf(words, "continue %u", &id) == 1 && id != 0 && (open = find(id)) != NULL)
        held_continue(open->call);
    if (open != NULL)
        let_go(open);
}

/* What another worker has opened, for a call that may be gone by now. */
static void take_file(int from)
{
    char word[32];
    int files[PASS_MOST];
    size_t count;
    if (!pass_receive(from, word, sizeof word, files, &count))
        return;
    struct held_open *open = NULL;
    unsigned id = (unsigned)strtoul(word, NULL, 10);
    if (count == 1 && id != 0 && (open = find(id)) != NULL) {
        int error = held_give(open->call, files[0], open->close_at_exec);
        if (error != 0)
            held_answer(open->call, error == EMFILE || error == ENFILE ? error : EACCES);
        let_go(open);
        int length = snprintf(frame_room(), LINE_BYTES, "given %u %d", id, error);
        frame_start(FRAME_OPEN, (size_t)length, MSG_DONTWAIT);
    }
    for (size_t i = 0; i < count; i++)
        close(files[i]);
}

void opens_begin(const struct spec *spec)
{
    door = door_open(spec->door);
    if (door < 0)
        refuse(STAGE_DESCRIPTORS, "cannot open a door for files");
}

size_t opens_await(struct pollfd events[OPENS_EVENTS])
{
    events[0] = (struct pollfd){.fd = held > 0 && !frame_waits() ? door : -1, .events = POLLIN};
    return OPENS_EVENTS;
}

void opens_serve(const struct pollfd events[OPENS_EVENTS])
{
    if (events[0].revents == 0 || frame_waits())
        return;
    int from = door_enter(door);
    if (from < 0)
        return;
    take_file(from);
    close(from);
}
