#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The same with a path that is granted, so that the call goes on by itself. */
    static char path[4096];
    (void)extra;
    char *own = in(workspace, "own");
    close(open(own, O_CREAT | O_WRONLY, 0600));
    struct swap swap = between(path, own, target);
    return leaks(keep_rewriting, &swap, path);
}
