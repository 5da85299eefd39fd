/*
 * Files beyond what is granted. An open of the action is held by seccomp. One that is granted goes on at once, and so does one that nobody
 * is to be asked about: Landlock and the mounts beneath decide it as if it had never been held. Whatever else there is at the path, or may
 * be made there, is told to the client, who decides on the path as it was then; the file is opened by another worker (hand.c), and comes
 * in at our door. What is said of an open, in words:
 *
 *     open ID PID FLAGS MODE IMAGE PATH
 *                                    held; IMAGE: image.h, in hex; PATH is absolute and may hold anything but a NUL
 *     given ID ERRNO                 what became of a file that came for it: 0, or why the action does not have it
 *
 * and by the client:
 *
 *     asked ID                       a person is being asked: until it is answered, the time is not the action's
 *     continue ID                    the kernel decides
 *     refuse ID ERRNO                the call fails so
 *
 * A truncation by path is an open for writing, by whose file it is then made here.
 *
 * Where the client is to be told what the action does, the path of each open for writing that is granted goes to it too (FRAME_WROTE), and
 * the call goes on: that is the path as we looked at it, which a racing thread may have changed by the time that the kernel does.
 */
#ifndef CLAWMESH_OPENS_H
#define CLAWMESH_OPENS_H

#include <linux/seccomp.h>
#include <poll.h>
#include <stdint.h>

#include "paths.h"
#include "spec.h"

enum { OPENS_EVENTS = 1 };

void opens_begin(const struct spec *spec);                                 /* opens the door */
void opens_take(const struct spec *spec, const struct seccomp_notif *call); /* an open; while no frame waits */
/* Makes the path the real one where there is something inside; false where the client has nothing to decide. */
bool opens_is_question(const struct spec *spec, struct wanted *wanted);
void opens_order(char *words);                                             /* of the client */
uint32_t opens_hold(const struct seccomp_notif *call, bool is_change, bool close_at_exec); /* its id, by which it is answered; 0: there are too many */
size_t opens_await(struct pollfd events[OPENS_EVENTS]);
void opens_serve(const struct pollfd events[OPENS_EVENTS]);
int64_t opens_waited_us(void); /* for how long a person has been waited for */

/* door.c: an abstract socket between workers of the same user, and nobody else. Each returns it, or -1. */
int door_open(const char *name);
int door_enter(int door);           /* whoever has come; what they say must come at once */
int door_knock(const char *name);

#endif
