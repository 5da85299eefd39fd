#define _GNU_SOURCE
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel.h"
#include "report.h"

enum { SHORT_BYTES = 256 };

static int root = -1;

/*
 * The descriptors of the thread that asked last, as /proc has them: most of what it costs to ask where one leads is the way there. It stays with that
 * thread: whoever has its number later is not found by it.
 */
static struct {
    pid_t thread;
    int folder;
} last = {.folder = -1};

/* A page at a time: behind the end of the path there may be nothing. */
bool paths_copy(pid_t thread, uint64_t address, char *path)
{
    for (size_t have = 0; have < PATH_BYTES;) {
        /* Most are short, and what is not asked for is not copied. */
        size_t page = PATH_BYTES - (address + have) % PATH_BYTES, rest = have == 0 ? SHORT_BYTES : PATH_BYTES - have;
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

static bool read_link_at(int folder, const char *link, char *target)
{
    ssize_t length = readlinkat(folder, link, target, PATH_BYTES);
    if (length <= 0 || length == PATH_BYTES)
        return false;
    target[length] = '\0';
    return target[0] == '/';
}

static bool read_link(const char *link, char *target)
{
    return read_link_at(AT_FDCWD, link, target);
}

static bool read_descriptor(pid_t thread, int descriptor, char *target)
{
    char link[64];
    snprintf(link, sizeof link, "%d", descriptor);
    if (last.folder >= 0 && last.thread == thread && read_link_at(last.folder, link, target))
        return true;
    if (last.folder >= 0)
        close(last.folder);
    snprintf(link, sizeof link, "/proc/%d/fd", thread);
    last.folder = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
    last.thread = thread;
    snprintf(link, sizeof link, "%d", descriptor);
    return last.folder >= 0 && read_link_at(last.folder, link, target);
}

/* Puts the folder before the path that it is meant from, by the kernel's own name for it. */
bool paths_make_absolute(struct wanted *wanted)
{
    char link[64], folder[PATH_BYTES];
    wanted->is_real = false;
    if (wanted->path[0] == '/')
        return true;
    wanted->is_real = wanted->flags & O_NOFOLLOW && strchr(wanted->path, '/') == NULL && wanted->path[0] != '.';
    snprintf(link, sizeof link, "/proc/%d/cwd", wanted->thread);
    if (!(wanted->folder == AT_FDCWD ? read_link(link, folder) : read_descriptor(wanted->thread, wanted->folder, folder)))
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
bool paths_find_root(pid_t thread)
{
    char link[64];
    if (root >= 0)
        return true;
    snprintf(link, sizeof link, "/proc/%d/root", thread);
    root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root >= 0;
}

/* A rename or a mount anywhere on the machine, while `..` is looked up, has the kernel ask for another try. */
static int open_inside(const char *path, uint64_t flags, uint64_t resolve)
{
    enum { MOST_TRIES = 100 };
    struct k_open_how how = {O_PATH | O_CLOEXEC | flags, 0, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_MAGICLINKS | resolve};
    int place = -1;
    for (int tries = 0; tries < MOST_TRIES; tries++)
        if ((place = (int)syscall(NR_openat2, root, path, &how, sizeof how)) >= 0 || errno != EAGAIN)
            break;
    return place;
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

/* Where a path leads inside, by the kernel's own lookup and name. */
enum sight paths_look(const char *path, unsigned flags, char *real)
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
bool paths_is_outside(const char *path)
{
    struct k_open_how how = {O_PATH | O_CLOEXEC, 0, K_RESOLVE_NO_MAGICLINKS};
    int place = (int)syscall(NR_openat2, AT_FDCWD, path, &how, sizeof how);
    if (place >= 0)
        close(place);
    return place >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP);
}

/* The mount that decides on a path; NULL where there is none. */
const struct mount *paths_mount_of(const struct spec *spec, const char *path)
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
bool paths_is_own(const struct mount *mount)
{
    return mount != NULL && (mount->source == NULL || mount->access == ACCESS_DEVICE);
}

/* A file that is made for a program is as closed to others as one that it makes itself; where its mask cannot be read, to all others. */
unsigned paths_masked(unsigned mode, pid_t thread)
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
