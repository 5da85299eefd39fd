#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)workspace, (void)extra;
    struct stat found;
    return stat(target, &found) == 0;
}
