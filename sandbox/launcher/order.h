/* What the client of an action with a network, or with opens that are held, says after its request: frames of the same form as those to it. */
#ifndef CLAWMESH_ORDER_H
#define CLAWMESH_ORDER_H

#include <stddef.h>

enum { ORDER_BYTES = 64 << 10 };

enum order {
    ORDER_NONE = 0,      /* not whole yet */
    ORDER_INPUT = 'i',   /* more of an input that follows; the next one comes after FRAME_FED */
    ORDER_NETWORK = 'v', /* what was decided of a connection, in words */
    ORDER_NAMES = 'q',   /* where an answer goes to, and the answer */
    ORDER_OPEN = 'w',    /* what was decided of an open, in words */
    ORDER_END = -1,      /* the client has ended, or says what is no frame */
};

/* What has come so far; the body is good until the next call. */
enum order order_take(char **body, size_t *length);

#endif
