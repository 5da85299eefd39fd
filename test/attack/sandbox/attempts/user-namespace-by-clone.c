#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return child > 0;
}
