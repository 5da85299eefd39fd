#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* As name-racing-path, from the one folder to its own, where it may read whatever comes. */
    static char path[4096];
    char *moved = in(workspace, "moved");
    int leaked = 0;
    struct swap swap = between(path, extra, target);
    if (rename(extra, moved) == 0) /* undisturbed: what is allowed can be done */
        rename(moved, extra);
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!leaked && goes_on())
        if (rename(path, moved) == 0 && !(leaked = first_of(open(moved, O_RDONLY)) == 's'))
            rename(moved, extra);
    race_ends(&swap);
    return leaked;
}
