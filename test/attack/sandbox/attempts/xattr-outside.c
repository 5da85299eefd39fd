#include "attack.h"
#include <sys/xattr.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)workspace, (void)extra;
    return setxattr(target, "user.clawmesh", "x", 1, 0) == 0 || errno == ENOTSUP;
}
