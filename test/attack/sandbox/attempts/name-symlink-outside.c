#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A link in its own folder is its own, and leads nowhere more; beside it, it would lead others astray. */
    char *way = in(workspace, "way"), *moved = NULL;
    if (asprintf(&moved, "%s.moved", extra) < 0)
        return 0;
    return symlink(target, moved) == 0 || (symlink(target, way) == 0 && (can_read(way) || truncate(way, 0) == 0));
}
