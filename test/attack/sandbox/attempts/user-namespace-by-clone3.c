#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(435, &arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    return child > 0;
}
