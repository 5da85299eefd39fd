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
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

static void make_streams(struct streams *ours, struct streams *actions)
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

/* The pool hands over the client, or ends. A process 1 that could not be prepared is no reason to wait: the next worker will say why. */
static void await_client(struct child child)
{
    struct pollfd events[] = {{.fd = CONTROL, .events = POLLIN}, {.fd = child.socket}};
    char word[8];
    int client[PASS_MOST];
    size_t count;
    while (poll(events, 2, -1) < 0 && errno == EINTR)
        ;
    if (events[0].revents == 0 || !pass_receive(CONTROL, word, sizeof word, client, &count) || count != 1)
        _exit(STAGE_POOL);
    if (dup3(client[0], CONTROL, O_CLOEXEC) < 0)
        _exit(STAGE_POOL);
    close(client[0]);
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

static void send_trees(struct child child, const struct spec *spec)
{
    int trees[SPEC_MOUNTS];
    size_t count = 0;
    for (const struct mount *mount = spec->mounts; mount < spec->mounts + spec->mount_count; mount++)
        if (mount->access != ACCESS_PIN)
            trees[count++] = mount->tree;
    for (size_t sent = 0; sent < count; sent += PASS_MOST)
        pass_send(child.socket, "trees", trees + sent, count - sent < PASS_MOST ? count - sent : PASS_MOST);
    for (size_t i = 0; i < count; i++)
        close(trees[i]);
}

int work(bool pooled)
{
    struct streams ours, actions;
    report_to(pooled ? LISTENER_NONE : LISTENER_CLIENT);
    struct request *request = request_new();
    bool as_root = namespaces_as_root();
    if (as_root && setgroups(0, NULL) != 0)
        refuse(STAGE_IDENTITY, "cannot leave root's groups");
    make_streams(&ours, &actions);
    struct child child = namespaces_start();
    if (child.pid == 0)
        return run_process_one(child, actions, &request->spec, as_root);
    close(actions.input);
    close(actions.output);
    close(actions.errors);
    signal(SIGPIPE, SIG_IGN); /* an action need not read its input */
    namespaces_map(child);

    if (pooled) {
        await_client(child);
        report_to(LISTENER_CLIENT);
    }
    request_read(request, CONTROL);
    source_make_new(&request->spec);
    if (as_root)
        root_open_trees(&request->spec, true); /* only root may map a mount's owner, and reach what root was given */
    await_ready(child);
    if (as_root)
        send_trees(child, &request->spec);
    pass_send(child.socket, "go", NULL, 0);
    namespaces_leave_root();
    watch(child, ours, request);
    return 0;
}
