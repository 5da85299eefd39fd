#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What was allowed is let go, and the same socket used again. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int socket = tcp();
    connects(socket, &at.open);
    connect(socket, &none, sizeof none);
    return connects(socket, &at.secret) && greeting(socket) == '!';
}
