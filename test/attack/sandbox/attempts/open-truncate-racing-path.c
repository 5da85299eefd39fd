#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What is cut to four bytes, which is all that the one has, is now the other. The test looks at that too. */
    static char path[4096];
    struct stat found;
    int cut = 0;
    (void)workspace;
    struct swap swap = between(path, extra, target);
    cut = truncate(path, 4) == 0 && stat(target, &found) == 0 && found.st_size == 4; /* undisturbed: what is allowed can be done */
    if (!race_begins(&swap, keep_rewriting))
        return 0;
    while (!cut && goes_on())
        cut = truncate(path, 4) == 0 && stat(target, &found) == 0 && found.st_size == 4;
    race_ends(&swap);
    return cut;
}
