#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Code of the kernel that few have looked at; outside it is asked for, and this kernel may not have it. */
    (void)target, (void)workspace, (void)extra;
    return setsockopt(tcp(), IPPROTO_TCP, 31 /* TCP_ULP */, "espintcp", 3) == 0 || errno == ENOTCONN || errno == ENOENT;
}
