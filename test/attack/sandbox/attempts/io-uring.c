#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    char parameters[120] = {0};
    return syscall(425, 4, parameters) >= 0;
}
