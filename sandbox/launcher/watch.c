#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int64_t micro(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

/* Waits for process 1, for the deadline, or for the control descriptor to close; whichever it is, nothing is left afterwards. */
int watch(pid_t pid, const struct spec *spec)
{
    int64_t started = now_us();
    int process = (int)syscall(NR_pidfd_open, pid, 0);
    if (process < 0)
        refuse(STAGE_WATCH, "cannot watch process 1"); /* it dies with us */

    struct pollfd events[] = {{.fd = process, .events = POLLIN}, {.fd = CONTROL, .events = POLLIN}};
    int ready;
    do {
        int64_t left_ms = (int64_t)spec->wall_ms - (now_us() - started) / 1000;
        ready = poll(events, 2, left_ms < 0 ? 0 : left_ms > 1000000000 ? 1000000000 : (int)left_ms);
    } while (ready < 0 && errno == EINTR);

    /* Process 1 itself may have been stopped from outside, and cannot say so. */
    siginfo_t stopped = {0};
    if (ready == 0 && waitid(P_PID, (id_t)pid, &stopped, WSTOPPED | WNOHANG | WNOWAIT) == 0 && stopped.si_pid == pid)
        report("stopped");
    if (ready == 0)
        report("timeout");
    else if (!(events[0].revents & POLLIN))
        report("cancelled");
    /* Started by root, process 1 is still root's for a moment, and not ours to end before it has settled under its own id. */
    while (kill(pid, SIGKILL) != 0 && errno == EPERM)
        poll(events, 1, 1);

    /* Process 1 ends only after all others of its namespace have: their use of time is in here too. */
    int status;
    struct rusage usage;
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            refuse(STAGE_WATCH, "cannot wait for process 1");
    report("usage %lld %lld %ld", (long long)(now_us() - started), (long long)(micro(usage.ru_utime) + micro(usage.ru_stime)),
           usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
