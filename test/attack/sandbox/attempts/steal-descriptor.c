#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    pid_t child = sleeper();
    int process = (int)syscall(434, child, 0), stolen = (int)syscall(438 /* pidfd_getfd */, process, 1, 0);
    kill(child, SIGKILL);
    return stolen >= 0;
}
