#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The path is another one between the moment it is looked at and the moment it is used: one that is asked for and allowed. */
    static char path[4096];
    (void)workspace;
    struct swap swap = between(path, extra, target);
    return leaks(keep_rewriting, &swap, path);
}
