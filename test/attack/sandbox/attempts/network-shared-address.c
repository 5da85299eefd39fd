#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Not tried outside. */
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_in to = place("100.64.0.1", 80);
    return connects(tcp(), &to);
}
