/*
 * Runs one action with nothing but what its spec grants:
 *
 *     clawmesh-sandbox 3<>SOCKET      spec.h says what is read there, report.h what is written
 *     clawmesh-sandbox --version      the Landlock ABI of this kernel, on standard output
 *
 * Standard input, output and error belong to the action. The launcher's own end, the end of whoever started it and the end of the
 * control descriptor each end the action and all that it has started.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

static struct spec spec;

static void close_from(unsigned first, unsigned last, unsigned flags)
{
    if (syscall(NR_close_range, first, last, flags) != 0)
        refuse(STAGE_DESCRIPTORS, "cannot close the descriptors");
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static void become_action(void)
{
    reset_signals();
    limits_set(&spec);
    landlock_restrict(&spec);
    /* The control descriptor goes with the rest, at exec: until then it can say what failed. */
    close_from(CONTROL, ~0u, K_CLOSE_RANGE_CLOEXEC);
    seccomp_restrict();
    execve(spec.program, spec.arguments, spec.variables);
    refuse(STAGE_EXEC, "cannot execute %s", spec.program);
}

/*
 * Process 1: reaps whatever is left to it, and ends with the action. The kernel then ends everything else in here. That the action was
 * stopped is told, so that a deadline which passed meanwhile is not put down to the action.
 */
static int reap_until(pid_t action)
{
    for (;;) {
        int status;
        pid_t ended = waitpid(-1, &status, WUNTRACED);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0)
            refuse(STAGE_WATCH, "lost the action");
        if (ended != action)
            continue;
        if (WIFSTOPPED(status)) {
            report("stopped");
            continue;
        }
        if (WIFSIGNALED(status))
            report("signal %d", WTERMSIG(status));
        else
            report("exit %d", WEXITSTATUS(status));
        return 0;
    }
}

static int run_process_one(int lifeline, bool trees_are_open)
{
    namespaces_settle(lifeline);
    if (!trees_are_open)
        root_open_trees(&spec, false);
    namespaces_close();
    root_enter(&spec);
    privileges_drop();
    pid_t action = fork();
    if (action < 0)
        refuse(STAGE_NAMESPACES, "cannot start the action");
    if (action == 0)
        become_action();
    close_from(0, 2, 0);
    close_from(CONTROL + 1, ~0u, 0);
    return reap_until(action);
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--version") == 0)
        return printf("landlock %d\n", landlock_abi()) < 0;

    if (fcntl(CONTROL, F_SETFD, FD_CLOEXEC) != 0)
        return STAGE_SPEC;
    close_from(CONTROL + 1, ~0u, 0);
    stop_with_parent();
    setsid(); /* a terminal's Ctrl-C is for whoever started us, who then decides */
    spec_read(&spec, CONTROL);
    source_make_new(&spec);

    bool as_root = namespaces_as_root();
    if (as_root) {
        /* Only root may map a mount's owner, and only root may reach what root was given: the copies are made out here. */
        if (setgroups(0, NULL) != 0)
            refuse(STAGE_IDENTITY, "cannot leave root's groups");
        root_open_trees(&spec, true);
    }
    struct child child = namespaces_start();
    if (child.pid == 0)
        return run_process_one(child.lifeline, as_root);
    close_from(0, 2, 0);
    namespaces_map(child);
    return watch(child.pid, &spec);
}
