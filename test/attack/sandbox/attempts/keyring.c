#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return syscall(SYS_keyctl, 0 /* get id */, -1 /* thread */, 1) > 0;
}
