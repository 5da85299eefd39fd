#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The way between a virtual machine and its host. */
    (void)target, (void)workspace, (void)extra;
    return socket(AF_VSOCK, SOCK_STREAM, 0) >= 0;
}
