#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void relay_begin(struct relay *relay, int inside, int outside)
{
    relay->inside = inside;
    relay->outside = outside;
    struct flow *both[] = {&relay->out, &relay->in};
    for (int i = 0; i < 2; i++) {
        both[i]->passed = 0;
        both[i]->allowed = UINT64_MAX;
        both[i]->head_length = 0;
        both[i]->start = both[i]->end = 0;
        both[i]->ended = both[i]->told = false;
    }
}

void relay_close(struct relay *relay)
{
    close(relay->inside);
    close(relay->outside);
}

static bool is_empty(const struct flow *flow)
{
    return flow->start == flow->end;
}

static size_t may_pass(const struct flow *flow)
{
    size_t have = flow->end - flow->start;
    return flow->allowed - flow->passed < have ? (size_t)(flow->allowed - flow->passed) : have;
}

/* What is held back is collected, as far as there is room. */
static bool may_fill(const struct flow *flow)
{
    return !flow->ended && (is_empty(flow) || (flow->allowed != UINT64_MAX && flow->end < RELAY_BYTES));
}

size_t relay_waiting(const struct flow *flow, const char **bytes)
{
    *bytes = flow->bytes + flow->start;
    return flow->end - flow->start;
}

static short wanted(const struct flow *from, const struct flow *to)
{
    return (short)((may_fill(from) ? POLLIN : 0) | (may_pass(to) > 0 ? POLLOUT : 0));
}

/* A side that has hung up for both directions would be told again and again: it is looked at only where something is wanted of it. */
void relay_await(const struct relay *relay, struct pollfd events[2])
{
    short inside = wanted(&relay->out, &relay->in), outside = wanted(&relay->in, &relay->out);
    events[0] = (struct pollfd){.fd = inside == 0 ? -1 : relay->inside, .events = inside};
    events[1] = (struct pollfd){.fd = outside == 0 ? -1 : relay->outside, .events = outside};
}

/* False where the connection is broken. */
static bool fill(struct flow *flow, int from)
{
    if (!may_fill(flow))
        return true;
    if (is_empty(flow))
        flow->start = flow->end = 0;
    ssize_t got = recv(from, flow->bytes + flow->end, RELAY_BYTES - flow->end, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    size_t first = (size_t)got < HEAD_BYTES - flow->head_length ? (size_t)got : HEAD_BYTES - flow->head_length;
    memcpy(flow->head + flow->head_length, flow->bytes + flow->end, first);
    flow->head_length += first;
    flow->end += (size_t)got;
    flow->ended = got == 0;
    return true;
}

static bool drain(struct flow *flow, int to)
{
    while (may_pass(flow) > 0) {
        ssize_t sent = send(to, flow->bytes + flow->start, may_pass(flow), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        flow->start += (size_t)sent;
        flow->passed += (uint64_t)sent;
    }
    if (flow->ended && !flow->told && is_empty(flow)) {
        shutdown(to, SHUT_WR);
        flow->told = true;
    }
    return true;
}

bool relay_pass(struct relay *relay, const struct pollfd events[2])
{
    if (events[0].revents == 0 && events[1].revents == 0)
        return true;
    bool holds = fill(&relay->out, relay->inside) && drain(&relay->out, relay->outside) && fill(&relay->in, relay->outside) &&
                 drain(&relay->in, relay->inside);
    if (holds && !(relay->out.told && relay->in.told))
        return true;
    relay_close(relay);
    return false;
}
