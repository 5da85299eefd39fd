#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* To be the one whom others are joined to. */
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_in at = place("127.0.0.1", 0);
    int socket = tcp();
    return bind(socket, (struct sockaddr *)&at, sizeof at) == 0 && listen(socket, 1) == 0;
}
