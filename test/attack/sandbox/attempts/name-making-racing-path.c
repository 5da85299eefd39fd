#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A folder and a link that are made where they may be, and by then elsewhere; removed again where they may be. The test looks elsewhere too. */
    static char path[4096];
    char *own = in(workspace, "made"), *beside = NULL;
    struct stat found;
    int made = 0;
    (void)extra;
    if (asprintf(&beside, "%s.made", target) < 0)
        return 0;
    struct swap swap = between(path, own, beside);
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!made && goes_on()) {
        mkdir(path, 0700);
        made = lstat(beside, &found) == 0;
        rmdir(own);
        symlink("x", path);
        made |= lstat(beside, &found) == 0;
        unlink(own);
    }
    race_ends(&swap);
    return made;
}
