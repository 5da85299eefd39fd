#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return syscall(SYS_msgget, 0 /* private */, 0600 | 01000) >= 0;
}
