#define _GNU_SOURCE
#include "opens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "held.h"
#include "image.h"
#include "kernel.h"
#include "layers.h"
#include "paths.h"
#include "report.h"

enum { OPENS = 64, MOST_TOLD = 20000, WRITES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC };

static struct held_open {
    uint32_t id; /* 0: free */
    uint64_t call;
    bool close_at_exec, asked;
    bool is_doubted; /* the client wants to know whether it lasts, and has not been told */
    bool is_change;  /* of a name: no file is ever the answer to it */
    bool is_cut;     /* truncate: it is made here, and the file itself goes no further */
    uint64_t length; /* to this */
} opens[OPENS];

static uint32_t last_id;
static unsigned told_writes;
static size_t held, asked;
static int64_t asked_since_us, waited_us;
static int door = -1;
static uint64_t most_bytes; /* of a file */

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

uint32_t opens_hold(const struct seccomp_notif *call, bool is_change, bool close_at_exec)
{
    struct held_open *open = find(0);
    if (open == NULL || last_id >= MOST_TOLD) /* whoever asks so much wants to keep the client busy */
        return 0;
    *open = (struct held_open){.id = ++last_id, .call = call->id, .is_change = is_change, .close_at_exec = close_at_exec};
    held++;
    return open->id;
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

static bool read_call(const struct seccomp_notif *call, struct wanted *wanted)
{
    const __u64 *arguments = call->data.args;
    wanted->thread = (pid_t)call->pid;
    wanted->folder = AT_FDCWD;
    if (call->data.nr == SYS_openat)
        wanted->folder = (int)*arguments++;
    wanted->flags = call->data.nr == SYS_truncate ? O_WRONLY : (unsigned)arguments[1];
    wanted->mode = (unsigned)arguments[2];
#ifdef SYS_creat
    if (call->data.nr == SYS_creat) {
        wanted->flags = O_CREAT | O_WRONLY | O_TRUNC;
        wanted->mode = (unsigned)arguments[1];
    }
#endif
    return paths_copy(wanted->thread, arguments[0], wanted->path);
}

/* Nothing to decide: it is granted, or the action's own. */
static bool is_settled(const struct spec *spec, const char *path, unsigned flags)
{
    const struct mount *mount = paths_mount_of(spec, path);
    return paths_is_own(mount) || (mount != NULL && (mount->access == ACCESS_WRITE || !(flags & WRITES)));
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

bool opens_is_question(const struct spec *spec, struct wanted *wanted)
{
    char real[PATH_BYTES];
    const struct mount *mount = paths_mount_of(spec, wanted->path);
    if (paths_is_own(mount) || is_known(wanted->path, wanted->flags))
        return false;
    if (wanted->is_real && !(wanted->flags & O_CREAT) && is_settled(spec, wanted->path, wanted->flags))
        return false;
    enum sight sight = paths_look(wanted->path, wanted->flags, real);
    if (sight == FOUND) {
        if (!(wanted->flags & O_NOFOLLOW)) /* of a link itself, it says nothing of where that leads */
            make_known(wanted->path, mount, paths_mount_of(spec, real));
        strcpy(wanted->path, real);
        /* What exists is opened for reading, though it could have been made. */
        return !is_settled(spec, real, wanted->flags & ~(unsigned)O_CREAT);
    }
    if (sight == HIDDEN)
        return false;
    if (!(wanted->flags & O_CREAT)) /* what is missing in a mount is missing on the machine too: they are the same folder */
        return !(sight == MISSING && mount != NULL) && paths_is_outside(wanted->path);
    char *name = strrchr(wanted->path, '/');
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%.*s", name == wanted->path ? 1 : (int)(name - wanted->path), wanted->path);
    if (paths_look(folder, 0, real) != FOUND)
        return true;
    if (strlen(real) + strlen(name) >= PATH_BYTES)
        return false;
    char made[2 * PATH_BYTES];
    snprintf(made, sizeof made, "%s%s", strcmp(real, "/") == 0 ? "" : real, name);
    strcpy(wanted->path, made);
    return !is_settled(spec, wanted->path, wanted->flags);
}

/* Of what is granted for writing, by the path that the look has left. The client is told of one more than it may be, and of nothing after that. */
static void tell_write(const struct spec *spec, const struct wanted *wanted)
{
    const struct mount *mount = paths_mount_of(spec, wanted->path);
    if (!(wanted->flags & WRITES) || paths_is_own(mount) || mount == NULL || mount->access != ACCESS_WRITE || told_writes++ > MOST_TOLD)
        return;
    size_t length = strlen(wanted->path);
    memcpy(frame_room(), wanted->path, length);
    frame_start(FRAME_WROTE, length, MSG_DONTWAIT);
}

void opens_take(const struct spec *spec, const struct seccomp_notif *call)
{
    static struct wanted wanted;
    bool is_clear = find(0) != NULL && read_call(call, &wanted) && paths_make_absolute(&wanted) && paths_find_root(wanted.thread);
    bool is_question = is_clear && opens_is_question(spec, &wanted);
    if (is_clear && !is_question && spec->deeds)
        tell_write(spec, &wanted);
    if (is_question && wanted.flags & O_CREAT)
        wanted.mode = paths_masked(wanted.mode, wanted.thread);
    /* Only where it lasts was it this thread's memory, and that matters only where somebody is asked. */
    bool is_told = is_question && spec->opens != HOLD_NONE && held_lasts(call->id);
    uint32_t id = is_told ? opens_hold(call, false, wanted.flags & O_CLOEXEC) : 0;
    if (id == 0) {
        held_continue(call->id);
        return;
    }
    if (call->data.nr == SYS_truncate) {
        find(id)->is_cut = true;
        find(id)->length = call->data.args[1];
    }
    int length = snprintf(frame_room(), FRAME_BYTES, "open %u %d %u %u %llx %s", id, wanted.thread, wanted.flags, wanted.mode,
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
    if (sscanf(words, "lasts %u", &id) == 1) {
        if (id != 0 && (open = find(id)) != NULL)
            open->is_doubted = true;
        return;
    }
    if (sscanf(words, "refuse %u %u", &id, &error) == 2 && error > 0 && error < 4096 && id != 0 && (open = find(id)) != NULL)
        held_answer(open->call, (int)error);
    else if (sscanf(words, "done %u", &id) == 1 && id != 0 && (open = find(id)) != NULL)
        held_answer(open->call, open->is_change ? 0 : EACCES);
    else if (sscanf(words, "continue %u", &id) == 1 && id != 0 && (open = find(id)) != NULL)
        held_continue(open->call);
    if (open != NULL)
        let_go(open);
}

/*
 * By the descriptor of what was allowed, with the limit of the action, which is not ours. Let go on instead, the call would be denied whatever its path is by
 * then: Landlock and the mounts grant no more after a yes than before it. They are what a thread that rewrites the path fails by; that it is made here is what
 * a yes is worth, and only the second line against that thread.
 */
static int cut(int file, uint64_t length)
{
    if (length > most_bytes && (int64_t)length > 0)
        return EFBIG;
    return ftruncate(file, (off_t)length) == 0 ? 0 : errno;
}

/* 0 where the call then has what it wanted, or why it has not. */
static int give(const struct held_open *open, int file)
{
    if (!open->is_cut)
        return held_give(open->call, file, open->close_at_exec);
    int error = held_lasts(open->call) ? cut(file, open->length) : ENOENT;
    held_answer(open->call, error);
    return error;
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
    if (count == 1 && id != 0 && (open = find(id)) != NULL && !open->is_change) {
        int error = give(open, files[0]);
        if (error != 0 && !open->is_cut)
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
    most_bytes = spec->file_bytes;
    door = door_open(spec->door);
    if (door < 0)
        refuse(STAGE_DESCRIPTORS, "cannot open a door for files");
}

size_t opens_await(struct pollfd events[OPENS_EVENTS])
{
    events[0] = (struct pollfd){.fd = held > 0 && !frame_waits() ? door : -1, .events = POLLIN};
    return OPENS_EVENTS;
}

/* Not at once: a frame may be halfway to the client. */
static void tell_lasting(void)
{
    for (struct held_open *each = opens; each < opens + OPENS && !frame_waits(); each++) {
        if (each->id == 0 || !each->is_doubted)
            continue;
        each->is_doubted = false;
        int length = snprintf(frame_room(), LINE_BYTES, "lasts %u %d", each->id, held_lasts(each->call));
        frame_start(FRAME_OPEN, (size_t)length, MSG_DONTWAIT);
    }
}

void opens_serve(const struct pollfd events[OPENS_EVENTS])
{
    tell_lasting();
    if (events[0].revents == 0 || frame_waits())
        return;
    int from = door_enter(door);
    if (from < 0)
        return;
    take_file(from);
    close(from);
}
