#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", getppid());
    return open(path, O_RDONLY) >= 0;
}
