#include "attack.h"
#include <sys/resource.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    struct rlimit limit;
    pid_t child = sleeper();
    int done = prlimit(child, RLIMIT_NOFILE, NULL, &limit) == 0;
    kill(child, SIGKILL);
    return done;
}
