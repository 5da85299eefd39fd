#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return setsockopt(tcp(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0;
}
