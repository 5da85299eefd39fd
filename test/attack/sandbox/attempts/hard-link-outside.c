#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)extra;
    char *name = in(workspace, "hard");
    return link(target, name) == 0 && can_read(name);
}
