#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return socket(AF_INET, SOCK_STREAM, 262) >= 0;
}
