/*
 * The pool: a worker for each client that connects. A client that connects before it has anything to run finds its worker prepared when
 * it has. The pool runs nothing, reads nothing of what clients say, and is not between an action and its client. What holds:
 *   1. A worker serves one client, once.
 *   2. Only who started the pool is a client.
 *   3. A worker ends with its client, whatever state it is in, and with the pool.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "group.h"
#include "kernel.h"
#include "layers.h"
#include "report.h"

enum { WORKERS = 256 };

static struct worker {
    int process; /* pidfd */
    int client;  /* to see it go; then -1 */
    unsigned long group;
} workers[WORKERS];
static size_t worker_count;

static void start_worker(int client)
{
    int process = -1;
    pid_t parent = getpid();
    unsigned long group = groups_number();
    long pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &process, 0, 0);
    if (pid == 0) {
        stop_with_parent();
        if (getppid() != parent || dup3(client, CONTROL, O_CLOEXEC) < 0)
            _exit(STAGE_POOL);
        close_from(CONTROL + 1);
        _exit(work());
    }
    if (pid > 0)
        workers[worker_count++] = (struct worker){process, client, group};
    else
        close(client); /* the machine has no process left: nothing runs */
}

static void admit(int listener, pid_t owner)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (client < 0)
        return;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == owner && peer.uid == geteuid())
        start_worker(client);
    else
        close(client);
}

/* True when the worker has ended. One whose client is gone, or has been told all and has ended, is ended: nobody waits for it. */
static bool tend(struct worker *worker, const struct pollfd events[2])
{
    if (events[1].revents != 0) {
        syscall(NR_pidfd_send_signal, worker->process, SIGKILL, NULL, 0);
        close(worker->client);
        worker->client = -1;
    }
    siginfo_t ended;
    if (events[0].revents == 0 || waitid(P_PIDFD, (id_t)worker->process, &ended, WEXITED) != 0)
        return false;
    close(worker->process);
    groups_remove(worker->group);
    if (worker->client >= 0)
        close(worker->client);
    return true;
}

/* In the folder that we were started in, which whoever started us has made for this and nobody else may enter. */
static int listen_here(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, SOMAXCONN) != 0 ||
        chdir("/") != 0)
        refuse(STAGE_POOL, "cannot listen");
    return listener;
}

int pool(void)
{
    enum { OWNER, LISTENER, FIRST_WORKER };
    static struct pollfd events[FIRST_WORKER + 2 * WORKERS];
    pid_t owner = getppid();
    namespaces_as_root(); /* decided once, for all workers */
    int listener = listen_here();
    groups_begin();
    report("ready");

    for (;;) {
        events[OWNER] = (struct pollfd){.fd = CONTROL, .events = POLLIN};
        events[LISTENER] = (struct pollfd){.fd = worker_count < WORKERS ? listener : -1, .events = POLLIN};
        for (size_t i = 0; i < worker_count; i++) {
            events[FIRST_WORKER + 2 * i] = (struct pollfd){.fd = workers[i].process, .events = POLLIN};
            events[FIRST_WORKER + 2 * i + 1] = (struct pollfd){.fd = workers[i].client};
        }
        if (poll(events, FIRST_WORKER + 2 * worker_count, -1) < 0) {
            if (errno == EINTR)
                continue;
            return STAGE_POOL;
        }
        if (events[OWNER].revents != 0)
            return 0;
        /* From the last, since the last takes the place of one that goes. */
        for (size_t i = worker_count; i-- > 0;)
            if (tend(&workers[i], &events[FIRST_WORKER + 2 * i]))
                workers[i] = workers[--worker_count];
        if (events[LISTENER].revents != 0)
            admit(listener, owner);
    }
}
