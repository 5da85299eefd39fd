/* A frame of any size on its way to the client; what fits into one line goes by report.h. */
#ifndef CLAWMESH_FRAME_H
#define CLAWMESH_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "report.h"

enum { FRAME_BYTES = 64 << 10 };

bool frame_waits(void);
void frame_send(int flags); /* what the client takes at once, or with 0 all; one that is gone takes all */

/* The body of the next frame, FRAME_BYTES of room; only while none waits. */
char *frame_room(void);
void frame_start(enum frame kind, size_t length, int flags);

#endif
