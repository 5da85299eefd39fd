#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Another name, in its own folder, for what may not be touched: by its path, by a link to it, and by its descriptor. */
    char *name = in(workspace, "hard"), *way = in(workspace, "way"), held[64];
    (void)extra;
    int file = open(target, O_PATH);
    snprintf(held, sizeof held, "/proc/self/fd/%d", file);
    if (symlink(target, way) != 0)
        return 0;
    int done = link(target, name) == 0 || linkat(AT_FDCWD, way, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 ||
               linkat(AT_FDCWD, held, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 || linkat(file, "", AT_FDCWD, name, AT_EMPTY_PATH) == 0;
    return done && can_read(name);
}
