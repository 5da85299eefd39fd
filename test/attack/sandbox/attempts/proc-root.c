#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)workspace, (void)extra;
    return can_read(in("/proc/1/root", target)) || can_read(in("/proc/self/root", target));
}
