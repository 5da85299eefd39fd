/*
 * The worker's part in a network. A connect of the action is held by seccomp and told to the client; what the client allows, to which
 * address, the worker dials, and only then joins to the action's socket. What is said of a connection, in words:
 *
 *     connect ID PID ADDRESS PORT IMAGE
 *                                    held; PID is the thread that called, which stays in the call until it is answered; IMAGE: image.h, in hex
 *     failed ID ERRNO                it was allowed, and there nobody answers: it is held again
 *     open ID                        the call has succeeded
 *     closed ID SENT RECEIVED        bytes; also of one that the action left before it was open
 *
 * and by the client:
 *
 *     allow ID ADDRESS PORT [tls]    dial this, of either kind of address; tls: whatever is said there has to begin as TLS does
 *     refuse ID ERRNO                the call fails so, now
 *     pass ID BYTES                  so much of what was shown may go out
 *     more ID                        show it again, once there is more of it
 *     cut ID                         end the connection; nothing of it goes out
 *
 * What begins as TLS does is held back and shown to the client (FRAME_HELLO), so that it sees which name is asked for. What passes is the
 * hello alone: a server that asks for another one gets it only once that was shown too. Anything else passes without a look.
 */
#ifndef CLAWMESH_NETWORK_H
#define CLAWMESH_NETWORK_H

#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

enum { NETWORK_CONNECTIONS = 64, NETWORK_EVENTS = 1 + 3 * NETWORK_CONNECTIONS };

void network_open(const int *sockets);                        /* of process 1: for names, then one for each port */
bool network_has_room(void);                                  /* for one connection more */
int network_take(const struct seccomp_notif *call);           /* a connect, while there is room: what it fails with now, or -1: it is held */
size_t network_await(struct pollfd events[NETWORK_EVENTS]);   /* how many; while a frame waits, nothing new is taken */
void network_serve(const struct pollfd events[NETWORK_EVENTS]);
void network_order(char *words);                              /* of the client */
void network_end(void);                                       /* nothing of the action is left; tells the rest */

#endif
