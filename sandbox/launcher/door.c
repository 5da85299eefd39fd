#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "opens.h"

static int make(const char *name, struct sockaddr_un *address, socklen_t *length)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path + 1, name, strlen(name)); /* spec.c has looked at its length */
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

/* By the kernel's own word; the names of such sockets are no secret. */
static bool is_ours(int socket)
{
    struct ucred other;
    socklen_t size = sizeof other;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 && other.uid == geteuid();
}

static int only_ours(int socket)
{
    const struct timeval soon = {.tv_sec = 1};
    if (socket >= 0 && is_ours(socket) && setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0)
        return socket;
    close(socket);
    errno = EACCES;
    return -1;
}

int door_open(const char *name)
{
    struct sockaddr_un address;
    socklen_t length;
    int door = make(name, &address, &length);
    bool made = door >= 0 && fcntl(door, F_SETFL, O_NONBLOCK) == 0; /* whoever knocks may be gone again */
    if (made && bind(door, (struct sockaddr *)&address, length) == 0 && listen(door, 64) == 0)
        return door;
    close(door);
    return -1;
}

int door_enter(int door)
{
    return only_ours(accept4(door, NULL, NULL, SOCK_CLOEXEC));
}

int door_knock(const char *name)
{
    struct sockaddr_un address;
    socklen_t length;
    int knocking = make(name, &address, &length);
    if (knocking >= 0 && connect(knocking, (struct sockaddr *)&address, length) != 0) {
        close(knocking);
        return -1;
    }
    return only_ours(knocking);
}
