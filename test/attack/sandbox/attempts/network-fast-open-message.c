#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket = tcp();
    struct iovec text = {.iov_base = "x", .iov_len = 1};
    struct msghdr message = {.msg_name = &at.secret, .msg_namelen = sizeof at.secret, .msg_iov = &text, .msg_iovlen = 1};
    return sendmsg(socket, &message, MSG_FASTOPEN | MSG_NOSIGNAL) == 1 && greeting(socket) == '!';
}
