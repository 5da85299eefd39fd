#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A second name in its own folder, for what is another file by the time that it is given. */
    static char path[4096];
    char *moved = in(workspace, "moved");
    int leaked = 0;
    pthread_t other;
    strcpy(path, extra);
    struct swap swap = {.place = path, .one = extra, .other = target};
    if (link(extra, moved) == 0) /* undisturbed: what is allowed can be done */
        unlink(moved);
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!leaked && goes_on())
        if (link(path, moved) == 0) {
            leaked = first_of(open(moved, O_RDONLY)) == 's';
            unlink(moved);
        }
    swap.over = 1;
    pthread_join(other, NULL);
    return leaked;
}
