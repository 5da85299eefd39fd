#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A connect that says yes at once, and connects with the first send. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp(), on = 1;
    setsockopt(socket, IPPROTO_TCP, 30 /* TCP_FASTOPEN_CONNECT */, &on, sizeof on);
    return connects(socket, &at.secret) && send(socket, "x", 1, MSG_NOSIGNAL) == 1 && greeting(socket) == '!';
}
