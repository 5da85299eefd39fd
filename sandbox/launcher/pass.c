/* Packets of one word between the pool, a worker and process 1, and descriptors with them. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "layers.h"

union rights {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * PASS_MOST)];
};

bool pass_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}

bool pass_send(int socket, const char *word, const int *descriptors, size_t count)
{
    union rights rights = {0};
    struct iovec text = {.iov_base = (char *)word, .iov_len = strlen(word)};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = &rights;
        message.msg_controllen = CMSG_SPACE(sizeof *descriptors * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof *descriptors * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof *descriptors * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

bool pass_receive(int socket, char *line, size_t bytes, int *descriptors, size_t *count)
{
    union rights rights = {0};
    struct iovec text = {.iov_base = line, .iov_len = bytes - 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    ssize_t got;
    do /* who ends with orders unread leaves one ECONNRESET behind, before its last words */
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    *count = 0;
    if (got <= 0 || message.msg_flags & MSG_CTRUNC)
        return false; /* with some of the descriptors left out nothing is as it was meant */
    line[got] = '\0';
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        *count = (header->cmsg_len - CMSG_LEN(0)) / sizeof *descriptors;
        memcpy(descriptors, CMSG_DATA(header), *count * sizeof *descriptors);
    }
    return true;
}
