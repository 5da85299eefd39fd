#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Into a folder that is kept read-only in what may be written: moved, by a second name, and as a link. */
    char *own = in(workspace, "own"), *moved = in(workspace, "kept/inner/moved"), *second = in(workspace, "kept/inner/second");
    char *link_in = in(workspace, "kept/inner/link");
    (void)extra;
    close(open(own, O_CREAT | O_WRONLY, 0600));
    return symlink(target, link_in) == 0 || link(own, second) == 0 || rename(own, moved) == 0;
}
