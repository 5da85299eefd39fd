/*
 * A connection: what an action writes to its own socket, in its own empty network, goes to a socket outside, and the other way round.
 * No socket of the machine's network is ever in the hands of an action, and every byte is counted.
 */
#ifndef CLAWMESH_RELAY_H
#define CLAWMESH_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RELAY_BYTES = 32 << 10, HEAD_BYTES = 43 };

/* One direction. */
struct flow {
    uint64_t passed, allowed; /* allowed: so many may have passed by now; what is beyond that waits */
    size_t start, end;
    bool ended, told; /* the one side says no more; the other knows */
    size_t head_length;
    char head[HEAD_BYTES]; /* what was said first */
    char bytes[RELAY_BYTES];
};

struct relay {
    int inside, outside;
    struct flow out, in;
};

void relay_begin(struct relay *relay, int inside, int outside); /* both not blocking; they are the relay's from here */
size_t relay_waiting(const struct flow *flow, const char **bytes); /* how many have come and not passed, and where they are */
void relay_await(const struct relay *relay, struct pollfd events[2]);
bool relay_pass(struct relay *relay, const struct pollfd events[2]); /* false: over, and closed */
void relay_close(struct relay *relay);

#endif
