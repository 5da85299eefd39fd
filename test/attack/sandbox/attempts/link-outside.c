#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)extra;
    char *link = in(workspace, "link");
    return symlink(target, link) == 0 && can_read(link);
}
