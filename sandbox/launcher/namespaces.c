#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

/* The id that the action has outside, once decided; the pool decides for all its workers. */
static unsigned outer_user, outer_group;
static enum { UNDECIDED, AS_ROOT, AS_STARTED } identity;

/* Whether this user namespace knows the id, and what `inside` is outside of it. */
static bool is_mapped(const char *map, unsigned id, unsigned *outside)
{
    unsigned first, outer, count;
    bool found = false;
    FILE *file = fopen(map, "re");
    while (file != NULL && !found && fscanf(file, "%u %u %u", &first, &outer, &count) == 3)
        if ((found = id >= first && id - first < count))
            *outside = outer + (id - first);
    if (file != NULL)
        fclose(file);
    return found;
}

/*
 * Root never runs an action under its own id. In a container root may know only some ids, or only its own: then it is fine to stay as
 * long as that is a plain user's outside of the container.
 */
static bool decide_as_root(void)
{
    static const unsigned candidates[] = {UNPRIVILEGED_ID, 65534 /* nobody */};
    unsigned outside;
    outer_user = geteuid();
    outer_group = getegid();
    if (outer_user != 0)
        return false;
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++)
        if (is_mapped("/proc/self/uid_map", candidates[i], &outside) && is_mapped("/proc/self/gid_map", candidates[i], &outside)) {
            outer_user = outer_group = candidates[i];
            return true;
        }
    errno = 0;
    if (!is_mapped("/proc/self/uid_map", 0, &outside) || outside == 0)
        refuse(STAGE_IDENTITY, "started by root, and there is no other id to run the action under");
    return false;
}

bool namespaces_as_root(void)
{
    if (identity == UNDECIDED)
        identity = decide_as_root() ? AS_ROOT : AS_STARTED;
    return identity == AS_ROOT;
}

void stop_with_parent(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        refuse(STAGE_NAMESPACES, "cannot tie the process to its parent");
}

/* Like fork, into new namespaces, with a socket between the two. The child must wait on it: it has no id before its maps are written. */
static struct child start(unsigned long namespaces)
{
    int ends[2];
    if (!pass_pair(ends))
        refuse(STAGE_NAMESPACES, "cannot make a pair of sockets");
    struct child child = {.pid = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0)};
    if (child.pid < 0)
        refuse(STAGE_NAMESPACES, "cannot make new namespaces");
    child.socket = ends[child.pid == 0 ? 0 : 1];
    close(ends[child.pid == 0 ? 1 : 0]);
    return child;
}

/* Without a change of powers: root stays what it is, but for its name. */
static void act_as(uid_t user)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0 || seteuid(user) != 0 || prctl(PR_SET_SECUREBITS, 0) != 0)
        refuse(STAGE_IDENTITY, "cannot act as user %u", user);
}

/*
 * The kernel lets the maker of a user namespace look into it, and nobody else but root: a worker has to, when it answers for a network,
 * and is root no more by then. So its later self is the maker.
 */
struct child namespaces_start(void)
{
    const unsigned long all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    if (!namespaces_as_root())
        return start(all);
    act_as(outer_user);
    struct child child = start(all);
    if (child.pid != 0)
        act_as(0);
    return child;
}

static void write_proc(pid_t pid, const char *name, const char *value)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, value, strlen(value)) != (ssize_t)strlen(value))
        refuse(STAGE_IDENTITY, "cannot write %s of the new namespace", name);
    close(file);
}

static void write_maps(pid_t pid, uid_t inner_user, uid_t outer_user, gid_t inner_group, gid_t outer_group)
{
    char line[64];
    snprintf(line, sizeof line, "%u %u 1", inner_user, outer_user);
    write_proc(pid, "uid_map", line);
    write_proc(pid, "setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1", inner_group, outer_group);
    write_proc(pid, "gid_map", line);
}

void namespaces_map(struct child child)
{
    write_maps(child.pid, INNER_ID, outer_user, INNER_ID, outer_group);
    if (!pass_send(child.socket, "mapped", NULL, 0))
        refuse(STAGE_IDENTITY, "the new namespace is gone");
}

void namespaces_give(int pipe)
{
    if (fchown(pipe, outer_user, outer_group) != 0)
        refuse(STAGE_IDENTITY, "cannot give a stream to the action");
}

void namespaces_leave_root(void)
{
    pid_t parent = getppid();
    if (setresgid(outer_group, outer_group, outer_group) != 0 || setresuid(outer_user, outer_user, outer_user) != 0)
        refuse(STAGE_IDENTITY, "the worker cannot give up root");
    stop_with_parent(); /* again: a change of id clears it */
    if (getppid() != parent)
        _exit(STAGE_IDENTITY); /* too late for that: the parent is gone already */
}

void namespaces_settle(void)
{
    char word[8];
    int none[PASS_MOST];
    size_t count;
    if (!pass_receive(CONTROL, word, sizeof word, none, &count))
        _exit(STAGE_IDENTITY); /* the worker died, or has said why it refuses */
    if (setresgid(INNER_ID, INNER_ID, INNER_ID) != 0 || setresuid(INNER_ID, INNER_ID, INNER_ID) != 0)
        refuse(STAGE_IDENTITY, "cannot take on the unprivileged id");
    stop_with_parent();
    /* The worker may have died before that call took effect: then its end of the socket is closed. */
    struct pollfd worker = {.fd = CONTROL};
    if (poll(&worker, 1, 0) != 0)
        _exit(STAGE_IDENTITY);
    if (sethostname("sandbox", 7) != 0 || setsid() < 0)
        refuse(STAGE_NAMESPACES, "cannot leave the session");
}

static void set_kernel(const char *setting, const char *purpose)
{
    int file = open(setting, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0", 1) != 1)
        refuse(STAGE_NAMESPACES, "cannot %s", purpose);
    close(file);
}

void namespaces_close(void)
{
    set_kernel("/proc/sys/user/max_user_namespaces", "forbid further user namespaces");
    /* The worker answers in here at whatever port an action asks for, without any power of its own. */
    set_kernel("/proc/sys/net/ipv4/ip_unprivileged_port_start", "open the ports of the empty network");
}

int namespaces_owner_map(uid_t owner, gid_t group)
{
    struct child child = start(CLONE_NEWUSER);
    if (child.pid == 0) {
        char end;
        _exit(read(child.socket, &end, 1) == 0 ? 0 : 1);
    }
    write_maps(child.pid, owner, outer_user, group, outer_group);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", child.pid);
    int map = open(path, O_RDONLY | O_CLOEXEC);
    if (map < 0)
        refuse(STAGE_IDENTITY, "cannot open the map of owners");
    close(child.socket);
    while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return map;
}
