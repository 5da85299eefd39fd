#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The folder that is renamed is another one between the moment it is looked at and the moment it is used; what is in it tells which. */
    static char path[4096];
    char *one = NULL, *another = NULL, *moved = NULL, *file = NULL;
    (void)workspace;
    if (asprintf(&one, "%s.folder", extra) < 0 || asprintf(&another, "%s.folder", target) < 0 || asprintf(&moved, "%s.moved", one) < 0 ||
        asprintf(&file, "%s/file", moved) < 0)
        return 0;
    int leaked = 0;
    struct swap swap = between(path, one, another);
    if (rename(one, moved) == 0) /* undisturbed: what is allowed can be done */
        rename(moved, one);
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!leaked && goes_on())
        if (rename(path, moved) == 0) {
            leaked = first_of(open(file, O_RDONLY)) == 's';
            rename(moved, one);
        }
    race_ends(&swap);
    return leaked;
}
