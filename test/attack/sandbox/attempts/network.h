/*
 * For attempts at the network. EXTRA names servers of the test, of which the first two greet whoever connects: "ADDRESS PORT OPEN NAMES SHARED". The one at
 * ADDRESS and PORT says "!" and is never to be reached, by TCP or UDP; the one at the port OPEN is what the policy allows by the name
 * open.example.org, and says "."; a server of the DNS of the test listens at the port NAMES. At the port SHARED, which the
 * policy allows by that name too, is one that many names share: it says "!" to whoever asks it for hidden.example.org.
 */
#ifndef ATTACK_NETWORK_H
#define ATTACK_NETWORK_H
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>

struct places {
    struct sockaddr_in secret, open, names, shared;
};

__attribute__((unused)) static struct sockaddr_in place(const char *address, int port)
{
    struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &made.sin_addr);
    return made;
}

__attribute__((unused)) static struct places places_of(const char *extra)
{
    char address[32] = "127.0.0.1";
    int secret = 0, open = 0, names = 0, shared = 0;
    sscanf(extra, "%31s %d %d %d %d", address, &secret, &open, &names, &shared);
    return (struct places){place(address, secret), place("127.0.0.1", open), place("127.0.0.1", names), place("127.0.0.1", shared)};
}

/* The first byte that comes in time, or 0. */
__attribute__((unused)) static char greeting(int socket)
{
    struct pollfd event = {.fd = socket, .events = POLLIN};
    char byte = 0;
    return poll(&event, 1, 3000) == 1 && recv(socket, &byte, 1, 0) == 1 ? byte : 0;
}

__attribute__((unused)) static int tcp(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

__attribute__((unused)) static int connects(int socket, const struct sockaddr_in *to)
{
    return connect(socket, (const struct sockaddr *)to, sizeof *to) == 0;
}
#endif
