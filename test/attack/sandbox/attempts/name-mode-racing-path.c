#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be given a mode is another file between the moment it is looked at and the moment it is used. The test looks at that too. */
    static char path[4096];
    struct stat found;
    int given = 0;
    (void)workspace;
    struct swap swap = between(path, extra, target);
    chmod(path, 0604); /* undisturbed: what is allowed can be done */
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!given && goes_on()) {
        chmod(path, 0604);
        given = stat(target, &found) == 0 && (found.st_mode & 0777) == 0604;
    }
    race_ends(&swap);
    return given;
}
