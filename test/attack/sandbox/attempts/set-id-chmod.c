#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)extra;
    char *path = in(workspace, "set-id");
    return drop_self(path) && chmod(path, 04755) == 0;
}
