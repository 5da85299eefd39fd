#define _GNU_SOURCE
#include "attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "frame.h"
#include "held.h"
#include "image.h"
#include "opens.h"
#include "paths.h"
#include "report.h"

enum { NONE = -1 };

/* Where in a call its path, the folder that it is meant from, a mode, times and flags are; and what the small part of a time is counted in. */
static const struct form {
    long call;
    int folder, name, mode, times, flags;
    int64_t nanoseconds; /* 0: there is no small part */
} forms[] = {
    {SYS_fchmodat, 0, 1, 2, NONE, NONE, 0},
    {SYS_utimensat, 0, 1, NONE, 2, 3, 1},
#ifdef __x86_64__
    {SYS_chmod, NONE, 0, 1, NONE, NONE, 0},
    {SYS_utime, NONE, 0, NONE, 1, NONE, 0},
    {SYS_utimes, NONE, 0, NONE, 1, NONE, 1000},
    {SYS_futimesat, 0, 1, NONE, 2, NONE, 1000},
#endif
};
enum { FORMS = sizeof forms / sizeof *forms };

static const struct form *form_of(int call)
{
    for (const struct form *form = forms; form < forms + FORMS; form++)
        if (form->call == call)
            return form;
    return NULL;
}

/* In words. False where there are none, or such as the kernel is to refuse. */
static bool read_times(const struct seccomp_notif *call, const struct form *form, char *words, size_t bytes)
{
    int64_t given[4] = {0}, seconds[2], rest[2];
    uint64_t address = call->data.args[form->times];
    if (address == 0) {
        snprintf(words, bytes, "0 %ld 0 %ld", UTIME_NOW, UTIME_NOW);
        return true;
    }
    size_t count = form->nanoseconds == 0 ? 2 : 4;
    struct iovec here = {given, count * sizeof *given}, there = {(void *)(uintptr_t)address, here.iov_len};
    if (process_vm_readv((pid_t)call->pid, &here, 1, &there, 1, 0) != (ssize_t)here.iov_len)
        return false;
    for (size_t i = 0; i < 2; i++) {
        seconds[i] = given[i * count / 2];
        rest[i] = count == 2 ? 0 : given[i * 2 + 1];
        bool is_word = form->nanoseconds == 1 && (rest[i] == UTIME_NOW || rest[i] == UTIME_OMIT);
        if (is_word)
            seconds[i] = 0;
        else if (seconds[i] < 0 || rest[i] < 0 || rest[i] >= 1000000000 / (form->nanoseconds == 0 ? 1 : form->nanoseconds))
            return false;
        else
            rest[i] *= form->nanoseconds;
    }
    snprintf(words, bytes, "%lld %lld %lld %lld", (long long)seconds[0], (long long)rest[0], (long long)seconds[1], (long long)rest[1]);
    return rest[0] != UTIME_OMIT || rest[1] != UTIME_OMIT;
}

/* As an open for writing is looked at: what it is of, and not a name in a folder. */
static bool read_path(const struct seccomp_notif *call, const struct form *form, struct wanted *wanted)
{
    unsigned flags = form->flags == NONE ? 0 : (unsigned)call->data.args[form->flags];
    wanted->thread = (pid_t)call->pid;
    wanted->flags = O_WRONLY | (flags == AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    wanted->folder = form->folder == NONE ? AT_FDCWD : (int)call->data.args[form->folder];
    return (flags & ~(unsigned)AT_SYMLINK_NOFOLLOW) == 0 && paths_copy(wanted->thread, call->data.args[form->name], wanted->path) &&
           paths_make_absolute(wanted) && paths_find_root(wanted->thread);
}

bool attributes_take(const struct spec *spec, const struct seccomp_notif *call)
{
    static struct wanted wanted;
    char times[128] = "";
    const struct form *form = form_of(call->data.nr);
    if (form == NULL)
        return false;
    bool is_mode = form->mode != NONE;
    unsigned mode = is_mode ? (unsigned)call->data.args[form->mode] & 01777 : 0; /* of set-id bits none comes here: the filter denies them */
    bool is_clear = read_path(call, form, &wanted) && (is_mode || read_times(call, form, times, sizeof times));
    bool is_question = is_clear && opens_is_question(spec, &wanted) && held_lasts(call->id);
    uint32_t id = is_question ? opens_hold(call, true, false) : 0;
    if (id == 0) {
        /* The kernel decides: what is not granted is not there, or mounted read-only. */
        held_continue(call->id);
        return true;
    }
    int length = snprintf(frame_room(), FRAME_BYTES, "change %u %d %llx %s %u %s", id, wanted.thread, (unsigned long long)image_of(wanted.thread),
                          spec_change_word(is_mode ? CHANGE_MODE : CHANGE_TIMES), is_mode ? mode : (wanted.flags & O_NOFOLLOW) != 0, wanted.path);
    size_t rest = strlen(times);
    memcpy(frame_room() + length + 1, times, rest);
    frame_start(FRAME_OPEN, (size_t)length + 1 + rest, MSG_DONTWAIT);
    return true;
}

/* What is mounted is what was asked about (source.c), and by its descriptor it is this very thing. */
int attributes_set(const struct spec *spec)
{
    char path[64];
    const uint64_t *times = spec->change.times;
    const struct timespec both[2] = {{(time_t)times[0], (long)times[1]}, {(time_t)times[2], (long)times[3]}};
    snprintf(path, sizeof path, "/proc/self/fd/%d", spec->mounts[0].tree);
    int done = spec->change.operation == CHANGE_MODE ? chmod(path, (mode_t)spec->change.mode) : utimensat(AT_FDCWD, path, both, 0);
    return done == 0 ? 0 : errno;
}
