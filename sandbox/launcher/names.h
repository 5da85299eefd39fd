/*
 * The questions for names that an action asks at 127.0.0.1:53 of its empty network: each goes to the client. A question, and its answer, are six bytes of
 * where it came from inside, address and port, and a message of the DNS.
 */
#ifndef CLAWMESH_NAMES_H
#define CLAWMESH_NAMES_H

#include <poll.h>
#include <stddef.h>

void names_open(int socket);
struct pollfd names_await(void); /* while a frame waits, nothing new is taken */
void names_take(void);
void names_answer(const char *answer, size_t length); /* of the client */

#endif
