#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)workspace, (void)extra;
    return chown(target, getuid(), getgid()) == 0;
}
