#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* EXTRA is the id of a process outside. */
    (void)target, (void)workspace;
    return kill(atoi(extra), 0) == 0;
}
