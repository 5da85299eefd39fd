#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp(), error = 1;
    socklen_t size = sizeof error;
    fcntl(socket, F_SETFL, O_NONBLOCK);
    if (!connects(socket, &at.secret) && errno != EINPROGRESS)
        return 0;
    struct pollfd event = {.fd = socket, .events = POLLOUT};
    return poll(&event, 1, 1000) == 1 && getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 && greeting(socket) == '!';
}
