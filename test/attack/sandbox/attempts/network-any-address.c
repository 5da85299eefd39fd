#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* This machine, by the address that means none. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp();
    at.secret.sin_addr.s_addr = htonl(INADDR_ANY);
    return connects(socket, &at.secret) && greeting(socket) == '!';
}
