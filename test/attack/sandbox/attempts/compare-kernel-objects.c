#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0) == 0;
}
