#include "attack.h"
#include <sys/inotify.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)workspace, (void)extra;
    return inotify_add_watch(inotify_init1(0), target, IN_OPEN) >= 0;
}
