#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Needs a capability; in a fresh user namespace anybody has it. */
    (void)target, (void)extra;
    return (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0) && chroot(workspace) == 0;
}
