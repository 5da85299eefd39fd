#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* One half of such a pair can send to any Unix socket that it can name. */
    (void)target, (void)workspace, (void)extra;
    int pair[2];
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0;
}
