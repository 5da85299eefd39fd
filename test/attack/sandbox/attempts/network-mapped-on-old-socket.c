#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The same, said to a socket of version 4 first. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = at.secret.sin_port};
    int old = tcp(), other = socket(AF_INET6, SOCK_STREAM, 0);
    if (inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr) != 1)
        return 0;
    return (connect(old, (struct sockaddr *)&to, sizeof to) == 0 && greeting(old) == '!') ||
           (connect(other, (struct sockaddr *)&to, sizeof to) == 0 && greeting(other) == '!');
}
