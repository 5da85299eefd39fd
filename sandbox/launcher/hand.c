/*
 * A worker for one file, which a person allowed to the action of another worker. It goes the way of whatever is granted (source.c, root.c):
 * the path without a link, the very file that was asked about, a mount of its own that is read-only unless it is to be written. Only then
 * is it opened, with no more power than the action has, and only that descriptor is ever the action's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers.h"
#include "opens.h"
#include "report.h"

/* What of an open's flags is for an open file. It exists by now, and where it is has been decided. */
enum { KEPT_FLAGS = O_ACCMODE | O_APPEND | O_NONBLOCK | O_TRUNC | O_SYNC | O_DSYNC | O_LARGEFILE };

int hand_open(const struct spec *spec)
{
    const struct mount *mount = spec->mounts;
    struct stat found;
    char path[64];
    privileges_drop();
    if (fstat(mount->tree, &found) != 0)
        refuse(STAGE_HAND, "%s", mount->source);
    errno = 0;
    if (!S_ISREG(found.st_mode))
        refuse(STAGE_CHANGED, "%s", mount->source); /* nobody is asked about anything else */
    snprintf(path, sizeof path, "/proc/self/fd/%d", mount->tree);
    int file = open(path, (int)(spec->hand.flags & KEPT_FLAGS) | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        refuse(STAGE_HAND, "%s", mount->source);
    return pass_send(CONTROL, "file", &file, 1) ? 0 : STAGE_HAND;
}

/* What process 1 has opened; what it says instead is why there is nothing, and the last that we have to say. */
static int await_file(struct child child)
{
    char line[LINE_BYTES];
    int file[PASS_MOST];
    size_t count;
    if (pass_receive(child.socket, line, sizeof line, file, &count) && count == 1)
        return file[0];
    if (count == 0 && line[0] != '\0')
        report("%s", line);
    report_end();
    _exit(STAGE_HAND);
}

void hand_over(struct child child, const struct spec *spec)
{
    char word[32];
    int file = await_file(child);
    int door = door_knock(spec->hand.door);
    snprintf(word, sizeof word, "%llu", (unsigned long long)spec->hand.id);
    if (door < 0 || !pass_send(door, word, &file, 1))
        refuse(STAGE_HAND, "nobody waits for %s any more", spec->mounts[0].source);
    kill(child.pid, SIGKILL);
    while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    report("exit 0");
    report("usage 0 0 0");
    report_end();
}
