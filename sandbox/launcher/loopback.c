/*
 * Process 1's part in a network: the loopback of its namespace, and the sockets by which the worker, outside, is reached in it. Nothing
 * else is in there, and no packet leaves it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "layers.h"
#include "report.h"

static int new_socket(int type)
{
    int made = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        refuse(STAGE_NETWORK, "cannot make a socket");
    return made;
}

static void switch_on(int by)
{
    struct ifreq loopback = {.ifr_name = "lo"};
    if (ioctl(by, SIOCGIFFLAGS, &loopback) != 0)
        refuse(STAGE_NETWORK, "cannot find the loopback");
    loopback.ifr_flags |= IFF_UP;
    if (ioctl(by, SIOCSIFFLAGS, &loopback) != 0)
        refuse(STAGE_NETWORK, "cannot switch the loopback on");
}

void loopback_open(void)
{
    /* Where every C library looks for names if it is told of no other place. */
    const struct sockaddr_in names = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int sockets[1 + NETWORK_PORTS];
    sockets[0] = new_socket(SOCK_DGRAM);
    switch_on(sockets[0]);
    if (bind(sockets[0], (const struct sockaddr *)&names, sizeof names) != 0)
        refuse(STAGE_NETWORK, "cannot answer for names");
    for (int i = 1; i <= NETWORK_PORTS; i++)
        sockets[i] = new_socket(SOCK_STREAM);
    if (!pass_send(CONTROL, "sockets", sockets, 1 + NETWORK_PORTS))
        _exit(STAGE_NETWORK);
    for (int i = 0; i <= NETWORK_PORTS; i++)
        close(sockets[i]);
}
