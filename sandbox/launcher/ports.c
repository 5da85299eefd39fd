/* The one way from the action's network to the worker: sockets in there, each listening at the port that a connection was allowed for. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "layers.h"

enum { JOIN_SECONDS = 2 };

static struct {
    int socket;
    unsigned port; /* 0: none yet */
} ports[NETWORK_PORTS];

void ports_open(const int *sockets)
{
    for (int i = 0; i < NETWORK_PORTS; i++)
        ports[i].socket = sockets[i];
}

static void wake(int number)
{
    (void)number;
}

/*
 * A connect within the empty network. Both ends are ours or the action's, so it is done at once; a socket that was made deaf by its owner
 * costs JOIN_SECONDS, once, and is refused.
 */
int ports_connect(int socket, const struct sockaddr *to, socklen_t length)
{
    const struct sigaction action = {.sa_handler = wake};
    sigaction(SIGALRM, &action, NULL);
    alarm(JOIN_SECONDS);
    int done = connect(socket, to, length);
    int error = done == 0 || errno == EINPROGRESS ? 0 : errno == EINTR ? ETIMEDOUT : errno;
    alarm(0);
    return error;
}

static int port_at(unsigned port)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < NETWORK_PORTS; i++) {
        if (ports[i].port == port)
            return ports[i].socket;
        if (ports[i].port != 0)
            continue;
        if (bind(ports[i].socket, (const struct sockaddr *)&any, sizeof any) != 0 || listen(ports[i].socket, 16) != 0)
            return -1;
        ports[i].port = port;
        return ports[i].socket;
    }
    return -1;
}

/* Our end of what has just been connected, by its own address: whoever else knocks is not let in. */
static int accept_from(int listening, const struct sockaddr_in *from)
{
    for (;;) {
        struct pollfd event = {.fd = listening, .events = POLLIN};
        struct sockaddr_in found;
        socklen_t size = sizeof found;
        if (poll(&event, 1, JOIN_SECONDS * 1000) <= 0)
            return -1;
        int end = accept4(listening, (struct sockaddr *)&found, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (end < 0)
            continue;
        if (found.sin_port == from->sin_port && found.sin_addr.s_addr == from->sin_addr.s_addr)
            return end;
        close(end);
    }
}

/* Whether small pieces wait for each other is the program's to say, of its own socket; on the way they do not. */
static void send_at_once(int socket)
{
    const int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* Answers with what the action's socket would have said, had it been outside. */
int ports_join(struct connection *connection)
{
    struct sockaddr_in to = connection->to, from;
    socklen_t size = sizeof from;
    int listening = port_at(ntohs(to.sin_port));
    if (listening < 0)
        return EADDRNOTAVAIL;
    if (ntohl(to.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* nothing else is reached in there */
    int error = ports_connect(connection->socket, (struct sockaddr *)&to, sizeof to);
    if (error != 0)
        return error;
    if (getsockname(connection->socket, (struct sockaddr *)&from, &size) != 0)
        return ECONNABORTED;
    int inside = accept_from(listening, &from);
    if (inside < 0)
        return ETIMEDOUT;
    send_at_once(inside);
    send_at_once(connection->relay.outside);
    relay_begin(&connection->relay, inside, connection->relay.outside);
    return 0;
}
