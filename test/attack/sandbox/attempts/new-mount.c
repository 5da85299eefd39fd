#include "attack.h"
#include <sys/mount.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* In a mount namespace of its own: nothing of the machine changes. */
    (void)target, (void)extra;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && mount("tmpfs", workspace, "tmpfs", 0, NULL) == 0;
}
