/*
 * Calls of the action that seccomp holds. Each is taken once, and whoever takes it answers it: a connect is the network's (network.h), an
 * open the files' (opens.h). A thread stays in its call until the answer comes, or until it is killed.
 */
#ifndef CLAWMESH_HELD_H
#define CLAWMESH_HELD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"
#include "opens.h"
#include "spec.h"

enum { HELD_EVENTS = 1 + OPENS_EVENTS + NETWORK_EVENTS };

bool held_receive(int child);                                                     /* a packet of process 1 or the action; false: they have ended */
bool held_is_set(void);                                                           /* all of it was received */
size_t held_await(const struct spec *spec, struct pollfd events[HELD_EVENTS]);    /* how many; while a frame waits, nothing new is taken */
void held_serve(const struct spec *spec, const struct pollfd events[HELD_EVENTS]);

/* The call fails so, or with 0 has succeeded. */
void held_answer(uint64_t call, int error);
/* The call is made as if it were not held, with whatever its memory says by now: never where only its holding keeps it from harm. */
void held_continue(uint64_t call);
/* The call has succeeded with a descriptor of its own for this file; or what keeps it from that. */
int held_give(uint64_t call, int file, bool close_at_exec);
/* False where its thread was killed: whatever was read of it may be another's. */
bool held_lasts(uint64_t call);

#endif
