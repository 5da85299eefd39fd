#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A neighbour of the machine. Not tried outside. */
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_in to = place("10.0.0.1", 80);
    return connects(tcp(), &to);
}
