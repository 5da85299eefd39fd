#define _GNU_SOURCE
#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attributes.h"
#include "changes.h"
#include "frame.h"
#include "image.h"
#include "kernel.h"
#include "layers.h"
#include "report.h"

enum { CALLS_AT_ONCE = 16, PARKED = 64 };

static int listener = -1;

/* Connects that came while there was no room for one more: an open behind them must not wait for a connection to end. */
static struct seccomp_notif parked[PARKED];
static size_t parked_count;

bool held_is_set(void)
{
    return listener >= 0;
}

bool held_receive(int child)
{
    char line[LINE_BYTES];
    int received[PASS_MOST];
    size_t count;
    if (!pass_receive(child, line, sizeof line, received, &count))
        return false;
    if (count == 1 + NETWORK_PORTS)
        network_open(received);
    else if (count == 1) {
        const uint64_t flags = K_SECCOMP_SYNC_WAKE_UP;
        listener = received[0];
        ioctl(listener, K_SECCOMP_SET_FLAGS, flags); /* faster where the kernel knows it */
    } else
        report("%s", line);
    return true;
}

/* One that is gone is gone: its thread was killed. */
void held_answer(uint64_t call, int error)
{
    struct seccomp_notif_resp response = {.id = call, .error = -error};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void held_continue(uint64_t call)
{
    struct seccomp_notif_resp response = {.id = call, .flags = K_SECCOMP_CONTINUE};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

int held_give(uint64_t call, int file, bool close_at_exec)
{
    struct seccomp_notif_addfd add = {
        .id = call, .flags = K_SECCOMP_ADDFD_SEND, .srcfd = (uint32_t)file, .newfd_flags = close_at_exec ? O_CLOEXEC : 0};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0 ? 0 : errno;
}

bool held_lasts(uint64_t call)
{
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call) == 0;
}

static void take_connect(const struct seccomp_notif *call)
{
    int error = network_take(call);
    if (error >= 0)
        held_answer(call->id, error);
}

/* The one that has waited longest: behind others that keep coming it would wait for ever. */
static void take_parked(void)
{
    struct seccomp_notif call = parked[0];
    memmove(parked, parked + 1, --parked_count * sizeof *parked);
    take_connect(&call);
}

static bool one_waits(void)
{
    struct pollfd more = {.fd = listener, .events = POLLIN};
    return poll(&more, 1, 0) == 1 && more.revents & POLLIN;
}

/* One that waits. False where its thread is gone again. */
static bool take_call(const struct spec *spec)
{
    struct seccomp_notif call = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
        return false;
    if (changes_take(spec, &call) || attributes_take(spec, &call))
        return true;
    if (call.data.nr == SYS_set_tid_address)
        image_take(&call);
    else if (call.data.nr != SYS_connect)
        opens_take(spec, &call);
    else if (parked_count == 0 && network_has_room())
        take_connect(&call);
    else
        parked[parked_count++] = call;
    return true;
}

static bool may_take(void)
{
    return !frame_waits() && parked_count < PARKED;
}

size_t held_await(const struct spec *spec, struct pollfd events[HELD_EVENTS])
{
    events[0] = (struct pollfd){.fd = may_take() ? listener : -1, .events = POLLIN};
    size_t count = 1 + opens_await(events + 1);
    return spec->network ? count + network_await(events + count) : count;
}

void held_serve(const struct spec *spec, const struct pollfd events[HELD_EVENTS])
{
    opens_serve(events + 1);
    if (spec->network)
        network_serve(events + 1 + OPENS_EVENTS);
    while (parked_count > 0 && network_has_room() && !frame_waits())
        take_parked();
    /* Without a network there is little else to look at, and to look again is as quick as to ask for the next one. */
    int most = spec->network ? CALLS_AT_ONCE : 1;
    for (int taken = 0; events[0].revents & POLLIN && taken < most && may_take() && (taken == 0 || one_waits()); taken++)
        if (!take_call(spec))
            break;
    if (events[0].revents != 0 && !(events[0].revents & POLLIN)) {
        close(listener); /* nobody is left who could call */
        listener = -1;
    }
}
