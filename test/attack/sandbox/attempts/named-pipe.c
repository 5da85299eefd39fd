#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)extra;
    return mkfifo(in(workspace, "pipe"), 0600) == 0;
}
