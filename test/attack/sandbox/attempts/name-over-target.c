#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be renamed, in the place of what may not be touched; and one of its own. */
    char *own = in(workspace, "own");
    close(open(own, O_CREAT | O_WRONLY, 0600));
    return rename(extra, target) == 0 || rename(own, target) == 0;
}
