/*
 * Runs actions with nothing but what their specs grant:
 *
 *     clawmesh-sandbox 3<>SOCKET               one action; spec.h says what is read there, report.h what is written
 *     clawmesh-sandbox --pool [GROUPS] 3<>SOCKET  one for each connection of who started it to ./socket; the end of the descriptor ends the pool
 *     clawmesh-sandbox --degraded 3<>SOCKET    one action, without namespaces; degraded.c
 *     clawmesh-sandbox --offline PROGRAM …     no action: a program of ours, without a network; offline.c
 *     clawmesh-sandbox --version               the Landlock ABI of this kernel, on standard output
 *     clawmesh-sandbox --delegated FOLDER      whether this control group was left to who runs in it; group.h
 *
 * The end of the client, of whoever started this, of the worker and of the pool each end the action and all that it has started.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "group.h"
#include "kernel.h"
#include "layers.h"
#include "report.h"

void close_from(unsigned first)
{
    if (syscall(NR_close_range, first, ~0u, 0) != 0)
        refuse(STAGE_DESCRIPTORS, "cannot close the descriptors");
}

void close_at_exec_from(unsigned first)
{
    if (syscall(NR_close_range, first, ~0u, K_CLOSE_RANGE_CLOEXEC) != 0)
        refuse(STAGE_DESCRIPTORS, "cannot mark the descriptors");
}

/* Whatever we were started with, nothing below us inherits a signal that is ignored or blocked. */
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--version") == 0)
        return printf("landlock %d\n", landlock_abi()) < 0;
    if (count == 3 && strcmp(arguments[1], "--delegated") == 0)
        return group_is_delegated(arguments[2]);
    if (count > 2 && strcmp(arguments[1], "--offline") == 0)
        return run_offline(arguments + 2);

    /* The streams too have to be there: what is opened next must not take their numbers. */
    for (int descriptor = 0; descriptor <= CONTROL; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0)
            return STAGE_DESCRIPTORS;
    close_from(CONTROL + 1);
    close_at_exec_from(CONTROL);
    reset_signals();
    stop_with_parent();
    setsid(); /* a terminal's Ctrl-C is for whoever started us, who then decides */
    if (count >= 2 && strcmp(arguments[1], "--pool") == 0) {
        groups_use(arguments + 2);
        return pool();
    }
    if (count == 2 && strcmp(arguments[1], "--degraded") == 0)
        return work_degraded();
    return count == 1 ? work() : STAGE_SPEC;
}
