#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be given times is another file between the moment it is looked at and the moment it is used. The test looks at that too. */
    static char path[4096];
    const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    struct stat found;
    int given = 0;
    (void)workspace;
    struct swap swap = between(path, extra, target);
    utimensat(AT_FDCWD, path, times, 0); /* undisturbed: what is allowed can be done */
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!given && goes_on()) {
        utimensat(AT_FDCWD, path, times, 0);
        given = stat(target, &found) == 0 && found.st_mtim.tv_sec == 1000000000;
    }
    race_ends(&swap);
    return given;
}
