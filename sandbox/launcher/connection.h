/* One connection of the action, from the call that is held for it to its end. */
#ifndef CLAWMESH_CONNECTION_H
#define CLAWMESH_CONNECTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay.h"

struct connection {
    enum { FREE, HELD, DIALLING, OPEN, OVER } state;
    uint32_t id;
    uint64_t call;
    int socket; /* the action's own, until it is joined */
    int error;  /* the dial failed before it began */
    struct sockaddr_in to;
    struct relay relay;
    enum { LOOK_FIRST, LOOK_SHOWN, LOOK_MORE, LOOK_REPLY, LOOK_OVER } look; /* at what the action says; LOOK_REPLY: at what it is answered */
    size_t shown;
    bool is_tls; /* whatever it says is shown */
};

/* hello.c: what is held back of it, and shown. Only while no frame waits. */
void hello_look(struct connection *connection);
void hello_pass(struct connection *connection, unsigned bytes); /* what was shown may go out, so much of it */
void connection_cut(struct connection *connection);             /* the action hears that it was broken off, and not that it came to its end */

/* ports.c: of process 1, one socket for each port. */
void ports_open(const int *sockets);
int ports_connect(int socket, const struct sockaddr *to, socklen_t length); /* within the empty network: 0, or what the call fails with */
int ports_join(struct connection *connection);                              /* to what was dialled for it; the same, as if it had been outside */

#endif
