#include "attack.h"
#include "network.h"

static char greeting_now(int socket)
{
    struct pollfd event = {.fd = socket, .events = POLLIN};
    char byte = 0;
    return poll(&event, 1, 1000) == 1 && recv(socket, &byte, 1, 0) == 1 ? byte : 0;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The addresses that stand for names, at a port that none is allowed at. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp();
    struct sockaddr_in to = at.secret;
    for (unsigned last = 1; last < 8; last++) {
        connects(socket, &to);
        if (greeting_now(socket) == '!')
            return 1;
        close(socket);
        socket = tcp();
        to.sin_addr.s_addr = htonl(0x7f010000u + last);
    }
    return 0;
}
