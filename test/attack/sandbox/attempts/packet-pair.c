#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    int pair[2];
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0;
}
