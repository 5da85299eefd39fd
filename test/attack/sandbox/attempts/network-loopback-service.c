#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp();
    return connects(socket, &at.secret) && greeting(socket) == '!';
}
