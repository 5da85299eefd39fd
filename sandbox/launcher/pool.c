/*
 * The pool: keeps workers prepared while nothing else is to be done, and gives each client that connects one of them.
 *
 * It runs nothing, reads nothing of what clients say, and is not between an action and its client. What holds:
 *   1. A worker serves one client, once. It is idle or taken; there is no way back.
 *   2. Only who started the pool is a client.
 *   3. A worker that was prepared sees the machine's mounts as they are when its client comes; when they change, the idle ones go.
 *   4. A worker that could not be prepared is not tried again before the next client, who is then told why.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

enum {
    WORKERS = 256,
    REFILL_MS = 3, /* the action that has just got a worker needs the processor more */
};

static struct worker {
    int process; /* pidfd */
    int socket;  /* idle: the worker's; taken: the client's, to see it go, then -1 */
    bool idle;
} workers[WORKERS];
static size_t worker_count;
static bool spoiled; /* the last idle worker ended by itself (4) */

static void hang_up(struct worker *worker)
{
    if (worker->socket >= 0)
        close(worker->socket);
    worker->socket = -1;
}

static void drop(struct worker *worker)
{
    close(worker->process);
    hang_up(worker);
    *worker = workers[--worker_count];
}

static void end(struct worker *worker)
{
    syscall(NR_pidfd_send_signal, worker->process, SIGKILL, NULL, 0);
}

/* NULL where the machine cannot have one more process. */
static struct worker *start_worker(void)
{
    int ends[2], process = -1;
    if (worker_count == WORKERS || !pass_pair(ends))
        return NULL;
    pid_t parent = getpid();
    long pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &process, 0, 0);
    if (pid == 0) {
        stop_with_parent();
        if (getppid() != parent || dup3(ends[1], CONTROL, O_CLOEXEC) < 0)
            _exit(STAGE_POOL);
        close_from(CONTROL + 1);
        _exit(work(true));
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return NULL;
    }
    workers[worker_count] = (struct worker){process, ends[0], true};
    return &workers[worker_count++];
}

static struct worker *find_idle(void)
{
    for (struct worker *worker = workers; worker < workers + worker_count; worker++)
        if (worker->idle)
            return worker;
    return NULL;
}

static size_t count_idle(void)
{
    size_t count = 0;
    for (const struct worker *worker = workers; worker < workers + worker_count; worker++)
        count += worker->idle;
    return count;
}

static void drop_idle(void)
{
    for (struct worker *worker; (worker = find_idle()) != NULL; drop(worker))
        end(worker);
}

static bool hand_over(int client)
{
    for (struct worker *worker; (worker = find_idle()) != NULL || (worker = start_worker()) != NULL;) {
        if (!pass_send(worker->socket, "client", &client, 1)) {
            drop(worker); /* it has ended meanwhile */
            continue;
        }
        hang_up(worker);
        worker->socket = client;
        worker->idle = false;
        return true;
    }
    return false;
}

static void say_no(int client)
{
    char text[] = "_____failed pool the machine has no process left for one more action";
    size_t length = sizeof text - 1;
    frame_header(text, FRAME_REPORT, length - FRAME_HEADER);
    ssize_t sent = send(client, text, length, MSG_NOSIGNAL);
    /* A socket that is closed on something unread is reset, and what was said on it lost. */
    while (sent > 0 && recv(client, text, sizeof text, MSG_DONTWAIT) > 0)
        ;
    close(client);
}

/* The kernel marks this file when a mount came, went or changed since it was last asked. */
static bool mounts_changed(int mounts)
{
    struct pollfd changed = {.fd = mounts, .events = POLLPRI};
    return poll(&changed, 1, 0) != 0;
}

static void admit(int listener, pid_t owner, int mounts)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != owner || peer.uid != geteuid()) {
        close(client);
        return;
    }
    if (mounts_changed(mounts))
        drop_idle();
    spoiled = false;
    if (!hand_over(client))
        say_no(client);
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

/* Of a worker: whether it has ended. Of a client: whether it has gone for good, or has been told all; then nobody waits for its worker. */
static void tend(struct worker *worker, const struct pollfd events[2])
{
    if (events[0].revents == 0) {
        if (!worker->idle && events[1].revents != 0) {
            end(worker);
            hang_up(worker);
        }
        return;
    }
    siginfo_t ended;
    waitid(P_PIDFD, (id_t)worker->process, &ended, WEXITED | WNOHANG);
    spoiled |= worker->idle;
    drop(worker);
}

int pool(size_t idle)
{
    enum { OWNER, LISTENER, MOUNTS, FIRST_WORKER };
    static struct pollfd events[FIRST_WORKER + 2 * WORKERS];
    report_to(LISTENER_CLIENT);
    pid_t owner = getppid();
    namespaces_as_root();
    int listener = listen_here();
    int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (mounts < 0)
        refuse(STAGE_POOL, "cannot watch the mounts");
    report("ready");

    for (;;) {
        events[OWNER] = (struct pollfd){.fd = CONTROL, .events = POLLIN};
        events[LISTENER] = (struct pollfd){.fd = worker_count < WORKERS ? listener : -1, .events = POLLIN};
        events[MOUNTS] = (struct pollfd){.fd = mounts, .events = POLLPRI};
        for (size_t i = 0; i < worker_count; i++) {
            events[FIRST_WORKER + 2 * i] = (struct pollfd){.fd = workers[i].process, .events = POLLIN};
            events[FIRST_WORKER + 2 * i + 1] = (struct pollfd){.fd = workers[i].socket};
        }
        size_t polled = worker_count;
        bool refill = !spoiled && count_idle() < idle && worker_count < WORKERS;
        int ready = poll(events, FIRST_WORKER + 2 * polled, refill ? REFILL_MS : -1);
        if (ready < 0 && errno != EINTR)
            return STAGE_POOL;
        if (ready == 0 && start_worker() == NULL)
            spoiled = true;
        if (ready <= 0)
            continue;
        if (events[OWNER].revents != 0)
            return 0;
        /* From the last, since a worker that goes has the last put in its place. */
        for (size_t i = polled; i-- > 0;)
            tend(&workers[i], &events[FIRST_WORKER + 2 * i]);
        if (events[MOUNTS].revents != 0)
            drop_idle();
        if (events[LISTENER].revents != 0)
            admit(listener, owner, mounts);
    }
}
