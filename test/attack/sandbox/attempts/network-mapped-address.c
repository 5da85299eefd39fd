#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* An address of version 4 in one of version 6. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = at.secret.sin_port};
    int socket_ = socket(AF_INET6, SOCK_STREAM, 0);
    return inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr) == 1 && connect(socket_, (struct sockaddr *)&to, sizeof to) == 0 &&
           greeting(socket_) == '!';
}
