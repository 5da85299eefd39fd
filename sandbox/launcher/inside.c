/* Process 1 of an action's namespaces, and the action until its exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "changes.h"
#include "kernel.h"
#include "layers.h"
#include "report.h"

static void __attribute__((noreturn)) become_action(struct spec *spec)
{
    signal(SIGPIPE, SIG_DFL); /* ignored, it would stay so; the others are as they should be */
    if (spec->degraded)
        stop_with_parent(); /* elsewhere all end with process 1 */
    limits_set(spec);
    landlock_restrict(spec);
    /* The control descriptor goes with the rest, at exec: until then it can say what failed. */
    close_at_exec_from(CONTROL);
    int held = seccomp_restrict(spec);
    if (spec_is_governed(spec) && !pass_send(CONTROL, "held", &held, 1))
        _exit(STAGE_NETWORK);
    execve(spec->program, spec->arguments, spec->variables);
    refuse(STAGE_EXEC, "cannot execute %s", spec->program);
}

/*
 * Reaps whatever is left to process 1, which ends with the action. The kernel then ends everything else in here. That the action was
 * stopped is told, so that a deadline which passed meanwhile is not put down to the action; once, so that it cannot crowd out its end.
 */
static int reap_until(pid_t action)
{
    for (bool told = false;;) {
        int status;
        pid_t ended = waitpid(-1, &status, WUNTRACED);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0)
            refuse(STAGE_WATCH, "lost the action");
        if (ended != action)
            continue;
        if (WIFSTOPPED(status)) {
            if (!told)
                report("stopped");
            told = true;
            continue;
        }
        if (WIFSIGNALED(status))
            report("signal %d", WTERMSIG(status));
        else
            report("exit %d", WEXITSTATUS(status));
        return 0;
    }
}

int start_action(struct spec *spec)
{
    pid_t action = vfork(); /* nothing is copied that the exec would throw away */
    if (action < 0)
        refuse(STAGE_NAMESPACES, "cannot start the action");
    if (action == 0)
        become_action(spec);
    for (int stream = 0; stream < CONTROL; stream++)
        close(stream);
    close_from(CONTROL + 1);
    return reap_until(action);
}

/* Until the worker says go; what it could open and we could not comes first. */
static void await_go(struct spec *spec)
{
    struct mount *mount = spec->mounts;
    for (;;) {
        char word[8];
        int trees[PASS_MOST];
        size_t count;
        if (!pass_receive(CONTROL, word, sizeof word, trees, &count))
            _exit(STAGE_SPEC); /* the worker is gone, or has refused */
        if (strcmp(word, "go") == 0)
            return;
        for (size_t i = 0; i < count; mount++)
            if (!access_is_made(mount->access))
                mount->tree = trees[i++];
    }
}

int run_process_one(struct child worker, struct streams streams, struct spec *spec, bool trees_are_sent)
{
    if (dup2(streams.input, 0) < 0 || dup2(streams.output, 1) < 0 || dup2(streams.errors, 2) < 0 ||
        dup3(worker.socket, CONTROL, O_CLOEXEC) < 0)
        _exit(STAGE_DESCRIPTORS);
    close_from(CONTROL + 1);
    report_to_worker();
    namespaces_settle();
    namespaces_close();
    root_prepare(!trees_are_sent);

    await_go(spec);
    if (!trees_are_sent)
        root_open_outside(spec);
    if (spec->hand.door != NULL)
        return hand_open(spec);
    if (spec->change.operation != CHANGE_NONE)
        return change_make(spec);
    root_fill(spec);
    if (spec->network)
        loopback_open();
    privileges_drop();
    return start_action(spec);
}
