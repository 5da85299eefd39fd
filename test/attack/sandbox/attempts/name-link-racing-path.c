#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A second name in its own folder, for what is another file by the time that it is given. */
    static char path[4096];
    char *moved = in(workspace, "moved");
    int leaked = 0;
    struct swap swap = between(path, extra, target);
    if (link(extra, moved) == 0) /* undisturbed: what is allowed can be done */
        unlink(moved);
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!leaked && goes_on())
        if (link(path, moved) == 0) {
            leaked = first_of(open(moved, O_RDONLY)) == 's';
            unlink(moved);
        }
    race_ends(&swap);
    return leaked;
}
