#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Where a cloud keeps a machine's keys. Not tried outside: no packet of a test goes there. */
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_in to = place("169.254.169.254", 80);
    return connects(tcp(), &to);
}
