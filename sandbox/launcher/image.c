#define _GNU_SOURCE
#include "image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "held.h"

enum { IMAGES = 4096, ADDRESS_BYTES = 8, PLACE_BYTES = 4096, LINE_MOST = 38 << 10, NAMES_MOST = 16 << 10, ENVIRONMENT_MOST = 128 << 10 };

static struct seen {
    uint64_t image;
    bool in_doubt; /* and the client knows */
} seen[IMAGES];
static size_t seen_count;

/* What fits; -1 where there is more, or nothing to be read. */
static ssize_t read_whole(pid_t thread, const char *name, char *to, size_t most)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", thread, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t got = -1;
    while (file >= 0 && have < most && (got = read(file, to + have, most - have)) > 0)
        have += (size_t)got;
    if (file >= 0)
        close(file);
    return got == 0 ? (ssize_t)have : -1;
}

uint64_t image_of(pid_t thread)
{
    unsigned long vector[128];
    ssize_t length = read_whole(thread, "auxv", (char *)vector, sizeof vector);
    for (size_t i = 0; length > 0 && i + 1 < (size_t)length / sizeof *vector; i += 2)
        if (vector[i] == AT_RANDOM)
            return vector[i + 1];
    return 0;
}

static struct seen *find_seen(uint64_t image)
{
    for (struct seen *each = seen; each < seen + seen_count; each++)
        if (each->image == image)
            return each;
    return NULL;
}

static void put_address(char *room, uint64_t image)
{
    for (int i = 0; i < ADDRESS_BYTES; i++)
        room[i] = (char)(image >> 8 * i & 0xff);
}

/* Somebody says a second time that it begins: it pretends, or another image has got the same address. From here on that is nobody's name. */
static void tell_doubt(struct seen *image)
{
    image->in_doubt = true;
    put_address(frame_room(), image->image);
    frame_start(FRAME_IMAGE, ADDRESS_BYTES, MSG_DONTWAIT);
}

/* The names of the variables that have a value, each closed by a NUL; -1 where there are too many. */
static ssize_t read_names(pid_t thread, char *to, size_t most)
{
    static char environment[ENVIRONMENT_MOST];
    ssize_t length = read_whole(thread, "environ", environment, sizeof environment);
    size_t have = 0;
    if (length < 0)
        return -1;
    for (const char *at = environment, *end = environment + length; at < end;) {
        size_t entry = strnlen(at, (size_t)(end - at)), name = 0;
        while (name < entry && at[name] != '=')
            name++;
        if (name + 1 < entry) {
            if (have + name + 1 > most)
                return -1;
            memcpy(to + have, at, name);
            to[have + name] = '\0';
            have += name + 1;
        }
        at += entry + 1;
    }
    return (ssize_t)have;
}

/* With its NUL; -1 for one that is longer than a path can be. */
static ssize_t read_place(pid_t thread, const char *name, char *to)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", thread, name);
    ssize_t length = readlink(path, to, PLACE_BYTES);
    if (length <= 0 || length == PLACE_BYTES)
        return -1;
    to[length] = '\0';
    return length + 1;
}

/* The address, a length, what was executed, the folder that it began in and its command line, of that length together, and the names. */
static void tell(pid_t thread, uint64_t image, uint64_t call)
{
    char *room = frame_room(), *at = room + ADDRESS_BYTES + 4;
    ssize_t before = read_place(thread, "exe", at);
    ssize_t folder = before < 0 ? -1 : read_place(thread, "cwd", at + before);
    if (folder < 0)
        return;
    ssize_t line = read_whole(thread, "cmdline", at + before + folder, LINE_MOST);
    if (line < 0)
        return;
    line += before + folder;
    ssize_t names = read_names(thread, at + line, NAMES_MOST);
    if (names < 0 || !held_lasts(call))
        return;
    put_address(room, image);
    for (int i = 0; i < 4; i++)
        room[ADDRESS_BYTES + i] = (char)(line >> 8 * i & 0xff);
    frame_start(FRAME_IMAGE, ADDRESS_BYTES + 4 + (size_t)(line + names), MSG_DONTWAIT);
}

void image_take(const struct seccomp_notif *call)
{
    uint64_t image = image_of((pid_t)call->pid);
    struct seen *known = find_seen(image);
    if (known == NULL && image != 0 && seen_count < IMAGES) {
        seen[seen_count++] = (struct seen){.image = image};
        tell((pid_t)call->pid, image, call->id);
    } else if (known != NULL && !known->in_doubt)
        tell_doubt(known);
    held_continue(call->id);
}
