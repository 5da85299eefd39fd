#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The mode of what may not be touched: by its path, by a link to it, from its folder, and by the place that it is at. */
    char *way = in(workspace, "way"), held[64];
    (void)extra;
    int file = open(target, O_PATH);
    snprintf(held, sizeof held, "/proc/self/fd/%d", file);
    if (symlink(target, way) != 0)
        return 0;
    return chmod(target, 0777) == 0 || syscall(SYS_fchmodat, AT_FDCWD, target, 0777) == 0 || chmod(way, 0777) == 0 || chmod(held, 0777) == 0;
}
