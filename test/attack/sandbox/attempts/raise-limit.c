#include "attack.h"
#include <sys/resource.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Core files: none is the limit inside, and no process is without one outside. */
    (void)target, (void)workspace, (void)extra;
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return 0;
    limit.rlim_max = limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? RLIM_INFINITY : limit.rlim_max + 4096;
    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}
