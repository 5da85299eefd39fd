#include "attack.h"
#include <sys/ptrace.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    pid_t child = sleeper();
    int attached = ptrace(PTRACE_ATTACH, child, 0, 0) == 0;
    kill(child, SIGKILL);
    return attached;
}
