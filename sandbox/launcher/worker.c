/*
 * A worker: outside of the sandbox, for one action. It prepares process 1 before it knows the action, learns it from its client, opens
 * what is granted where only it can, and watches. It is never used again: whatever an action may have left behind ends with both.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "changes.h"
#include "group.h"
#include "kernel.h"
#include "layers.h"
#include "opens.h"
#include "report.h"

void make_streams(struct streams *ours, struct streams *actions)
{
    int input[2], output[2], errors[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0)
        refuse(STAGE_DESCRIPTORS, "cannot make the streams");
    *ours = (struct streams){input[1], output[0], errors[0]};
    *actions = (struct streams){input[0], output[1], errors[1]};
    namespaces_give(actions->input);
    namespaces_give(actions->output);
    namespaces_give(actions->errors);
}

/* Process 1, which knows nothing yet of its action, and what it saw of the machine when it began. */
struct prepared {
    struct child child;
    struct streams streams;
    int mounts;
};

static struct prepared prepare(struct spec *spec, bool as_root)
{
    struct prepared prepared;
    struct streams actions;
    prepared.mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (prepared.mounts < 0)
        refuse(STAGE_MOUNTS, "cannot watch the mounts");
    make_streams(&prepared.streams, &actions);
    prepared.child = namespaces_start();
    if (prepared.child.pid == 0)
        _exit(run_process_one(prepared.child, actions, spec, as_root));
    close(actions.input);
    close(actions.output);
    close(actions.errors);
    group_enter(prepared.child.pid);
    namespaces_map(prepared.child);
    return prepared;
}

/* The kernel marks the open file when a mount came, went or changed since: process 1 then sees what is no longer so. */
static bool is_outdated(const struct prepared *prepared)
{
    struct pollfd mounts = {.fd = prepared->mounts, .events = POLLPRI};
    return poll(&mounts, 1, 0) != 0;
}

static void discard(struct prepared *prepared)
{
    kill(prepared->child.pid, SIGKILL);
    while (waitpid(prepared->child.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(prepared->child.socket);
    close(prepared->streams.input);
    close(prepared->streams.output);
    close(prepared->streams.errors);
    close(prepared->mounts);
}

/* Process 1 says that it is prepared, or why it is not; then watch() finds it ended. */
static void await_ready(struct child child)
{
    char line[LINE_BYTES];
    int mount_namespaces[PASS_MOST]; /* held until we end */
    size_t count;
    if (pass_receive(child.socket, line, sizeof line, mount_namespaces, &count) && count == 0)
        report("%s", line);
}

/* Process 1 gets numbers of its own for them; ours mean nothing to it. */
static void send_trees(struct child child, struct spec *spec)
{
    int trees[SPEC_MOUNTS];
    size_t count = 0;
    for (struct mount *mount = spec->mounts; mount < spec->mounts + spec->mount_count; mount++) {
        if (access_is_made(mount->access))
            continue;
        trees[count++] = mount->tree;
        mount->tree = -1;
    }
    for (size_t sent = 0; sent < count; sent += PASS_MOST)
        pass_send(child.socket, "trees", trees + sent, count - sent < PASS_MOST ? count - sent : PASS_MOST);
    for (size_t i = 0; i < count; i++)
        close(trees[i]);
}

int work(void)
{
    signal(SIGPIPE, SIG_IGN); /* an action need not read its input */
    bool as_root = namespaces_as_root();
    if (as_root && setgroups(0, NULL) != 0)
        refuse(STAGE_IDENTITY, "cannot leave root's groups");
    struct request *request = request_new();
    struct spec *spec = &request->spec;
    struct prepared prepared = prepare(spec, as_root);

    request_read(request, CONTROL); /* of a client that connected ahead, this is where we wait */
    errno = 0;
    if (spec->degraded)
        refuse(STAGE_SPEC, "what is for an action without namespaces");
    if (is_outdated(&prepared)) {
        discard(&prepared);
        prepared = prepare(spec, as_root);
    }
    source_make_new(spec);
    if (as_root)
        root_open_trees(spec, true); /* only root may map a mount's owner, and reach what root was given */
    await_ready(prepared.child);
    if (as_root)
        send_trees(prepared.child, spec);
    if (!spec_is_errand(spec))
        group_limit(spec);
    namespaces_leave_root();
    if (spec->opens != HOLD_NONE)
        opens_begin(spec);
    report_is_heard();
    pass_send(prepared.child.socket, "go", NULL, 0);
    if (spec->hand.door != NULL) {
        hand_over(prepared.child, spec);
        return 0;
    }
    if (spec->change.operation != CHANGE_NONE) {
        change_report(prepared.child, spec);
        return 0;
    }
    watch(prepared.child, prepared.streams, request);
    return 0;
}
