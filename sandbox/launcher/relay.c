#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void relay_begin(struct relay *relay, int inside, int outside)
{
    relay->inside = inside;
    relay->outside = outside;
    struct flow *both[] = {&relay->out, &relay->in};
    for (int i = 0; i < 2; i++) {
        both[i]->passed = 0;
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

static short wanted(const struct flow *from, const struct flow *to)
{
    return (short)((!from->ended && is_empty(from) ? POLLIN : 0) | (is_empty(to) ? 0 : POLLOUT));
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
    if (flow->ended || !is_empty(flow))
        return true;
    ssize_t got = recv(from, flow->bytes, RELAY_BYTES, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    flow->start = 0;
    flow->end = (size_t)got;
    flow->ended = got == 0;
    return true;
}

static bool drain(struct flow *flow, int to)
{
    while (!is_empty(flow)) {
        ssize_t sent = send(to, flow->bytes + flow->start, flow->end - flow->start, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        flow->start += (size_t)sent;
        flow->passed += (uint64_t)sent;
    }
    if (flow->ended && !flow->told) {
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
