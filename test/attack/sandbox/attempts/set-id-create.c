#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)extra;
    return open(in(workspace, "set-id"), O_CREAT | O_EXCL | O_WRONLY, 04755) >= 0;
}
