#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A yes to a rename that replaces nothing, used on what has appeared there since: by us outside, and inside while a person is asked. */
    char *moved = NULL;
    (void)target;
    (void)workspace;
    if (asprintf(&moved, "%s.moved", extra) < 0)
        return 0;
    close(open(moved, O_CREAT | O_WRONLY, 0600));
    return rename(extra, moved) == 0;
}
