#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The way of the packets, named by whoever sends them. */
    (void)target, (void)workspace, (void)extra;
    static const unsigned char route[] = {131 /* loose source route */, 7, 4, 127, 0, 0, 1, 0};
    return setsockopt(tcp(), IPPROTO_IP, IP_OPTIONS, route, sizeof route) == 0;
}
