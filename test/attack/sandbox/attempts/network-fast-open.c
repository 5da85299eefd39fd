#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A send that connects first. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp();
    return sendto(socket, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&at.secret, sizeof at.secret) == 1 && greeting(socket) == '!';
}
