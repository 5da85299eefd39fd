#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A module of the kernel, by its name. */
    (void)target, (void)workspace, (void)extra;
    return setsockopt(tcp(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0;
}
