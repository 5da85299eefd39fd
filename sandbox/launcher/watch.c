#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "frame.h"
#include "group.h"
#include "kernel.h"
#include "layers.h"
#include "held.h"
#include "names.h"
#include "network.h"
#include "opens.h"
#include "order.h"
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

/* Of both streams together: what may still be printed, and whether there was more. */
struct output {
    uint64_t left;
    bool is_over;
};

/* What is there of a stream becomes a frame, as far as it is within the limit. False past that, and at the stream's end; it is closed then. */
static bool relay(int *stream, enum frame kind, struct output *output, int flags)
{
    ssize_t got;
    do
        got = read(*stream, frame_room(), FRAME_BYTES);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        close(*stream);
        *stream = -1;
        return false;
    }
    size_t within = (uint64_t)got < output->left ? (size_t)got : (size_t)output->left;
    output->left -= within;
    output->is_over = within < (size_t)got;
    if (within > 0)
        frame_start(kind, within, flags);
    return !output->is_over;
}

/* What is on its way to the action's input. */
struct input {
    char *bytes;
    size_t start, end;
    bool follows; /* more may come */
    bool told;    /* with a network: the client knows that it may */
};

/* As much of the input as the pipe takes; the last of it closes the pipe. */
static void feed(int *stream, struct input *input)
{
    ssize_t sent = 0;
    while (input->start < input->end && (sent = write(*stream, input->bytes + input->start, input->end - input->start)) > 0)
        input->start += (size_t)sent;
    if (input->start < input->end && sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (input->start == input->end && input->follows)
        return;
    close(*stream); /* it has all, or has closed its end */
    *stream = -1;
}

/* More of an input that follows; an action that reads no more lets it pass. False when the client has ended. */
static bool take_input(int stream, struct input *input)
{
    ssize_t got = recv(CONTROL, input->bytes, INPUT_CHUNK, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (got <= 0)
        return false;
    input->start = 0;
    input->end = stream < 0 ? 0 : (size_t)got;
    return true;
}

/* The time that somebody takes to answer for an open is not the action's. */
static int milliseconds_left(int64_t started, const struct spec *spec)
{
    int64_t left = (int64_t)spec->wall_ms - (now_us() - started - opens_waited_us()) / 1000;
    return left < 0 ? 0 : left > 1000000000 ? 1000000000 : (int)left;
}

enum ending { ENDED, TIMEOUT, CANCELLED, MEMORY, FLOOD };

enum { MEMORY_EVERY_MS = 200 };

/* What the client orders, one after another. False when it has ended. */
static bool take_orders(int stream, struct input *input)
{
    for (;;) {
        char *body;
        size_t length;
        switch (order_take(&body, &length)) {
        case ORDER_NONE:
            return true;
        case ORDER_NETWORK:
            network_order(body);
            break;
        case ORDER_OPEN:
            opens_order(body);
            break;
        case ORDER_NAMES:
            names_answer(body, length);
            break;
        case ORDER_INPUT:
            if (!input->follows || input->start < input->end)
                return false; /* it was not told to go on */
            memcpy(input->bytes, body, length);
            input->start = 0;
            input->end = stream < 0 ? 0 : length;
            input->told = false;
            break;
        default:
            return false;
        }
    }
}

static bool hear_client(int revents, int stream, struct input *input, bool governed)
{
    if (revents == 0)
        return true;
    if (governed)
        return !(revents & ~(POLLIN | POLLRDHUP)) && take_orders(stream, input);
    return input->follows && revents == POLLIN && take_input(stream, input);
}

/* Relays until process 1 has ended, one of its limits is reached, or the client wants no more. */
static enum ending attend(int process, struct child action, struct streams *streams, struct output *output, const struct request *request,
                          int64_t started)
{
    enum { PROCESS, CLIENT, CHILD, OUTPUT, ERRORS, INPUT, HELD };
    static struct pollfd events[HELD + HELD_EVENTS];
    struct input input = {.bytes = request->input, .end = request->input_length, .follows = request->input_follows, .told = true};
    const int child = action.socket;
    bool governed = spec_is_governed(&request->spec), listening = governed;
    int64_t looked = started;
    fcntl(streams->input, F_SETFL, O_NONBLOCK);
    feed(&streams->input, &input);
    for (;;) {
        /* poll passes over a descriptor below zero */
        bool fed = input.start == input.end, waits = frame_waits();
        short unless_full = !governed && input.follows && !fed ? 0 : POLLIN;
        events[PROCESS] = (struct pollfd){.fd = process, .events = POLLIN};
        events[CLIENT] = (struct pollfd){.fd = CONTROL, .events = unless_full | POLLRDHUP | (waits ? POLLOUT : 0)};
        events[CHILD] = (struct pollfd){.fd = listening ? child : -1, .events = POLLIN};
        events[OUTPUT] = (struct pollfd){.fd = waits ? -1 : streams->output, .events = POLLIN};
        events[ERRORS] = (struct pollfd){.fd = waits ? -1 : streams->errors, .events = POLLIN};
        events[INPUT] = (struct pollfd){.fd = fed ? -1 : streams->input, .events = POLLOUT};
        size_t count = HELD + (governed ? held_await(&request->spec, events + HELD) : 0);
        int left = milliseconds_left(started, &request->spec);
        int ready = poll(events, count, left < MEMORY_EVERY_MS ? left : MEMORY_EVERY_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            refuse(STAGE_WATCH, "cannot wait for the action"); /* process 1 dies with us */
        if (events[PROCESS].revents != 0)
            return ENDED;
        int client = events[CLIENT].revents & ~POLLOUT;
        if (!hear_client(client, streams->input, &input, governed))
            return CANCELLED;
        if (milliseconds_left(started, &request->spec) == 0)
            return TIMEOUT;
        if (now_us() - looked >= MEMORY_EVERY_MS * 1000) {
            if (!request->spec.degraded && (group_is_over() || memory_is_over(action.pid, request->spec.memory_total_bytes)))
                return MEMORY;
            looked = now_us();
        }
        if (events[CHILD].revents != 0)
            listening = held_receive(child) && !held_is_set();
        if (frame_waits())
            frame_send(MSG_DONTWAIT);
        else if (events[OUTPUT].revents != 0)
            relay(&streams->output, FRAME_OUTPUT, output, MSG_DONTWAIT);
        else if (events[ERRORS].revents != 0)
            relay(&streams->errors, FRAME_ERRORS, output, MSG_DONTWAIT);
        if (output->is_over)
            return FLOOD;
        if (streams->input >= 0 && (events[INPUT].revents != 0 || client != 0))
            feed(&streams->input, &input);
        if (governed && input.follows && !input.told && input.start == input.end && !frame_waits()) {
            input.told = true;
            frame_start(FRAME_FED, 0, MSG_DONTWAIT);
        }
        if (governed)
            held_serve(&request->spec, events + HELD);
    }
}

/* Whatever ends the action, nothing is left of it when the last line is written; and that line comes last. */
void watch(struct child child, struct streams streams, const struct request *request)
{
    int64_t started = now_us();
    int process = (int)syscall(NR_pidfd_open, child.pid, 0);
    if (process < 0)
        refuse(STAGE_WATCH, "cannot watch process 1");
    struct output output = {.left = request->spec.output_bytes};
    enum ending ending = attend(process, child, &streams, &output, request, started);
    /* Process 1 itself may have been stopped from outside, and cannot say so. */
    siginfo_t stopped = {0};
    waitid(P_PID, (id_t)child.pid, &stopped, WSTOPPED | WNOHANG | WNOWAIT);
    kill(child.pid, SIGKILL);

    /* Process 1 ends only after all others of its namespace have: their use of time is in here too. */
    int status;
    struct rusage usage;
    while (wait4(child.pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            refuse(STAGE_WATCH, "cannot wait for process 1");
    /* Without a namespace it leaves the action to us, which ends with it. */
    while (request->spec.degraded && (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR))
        ;

    frame_send(0);
    while (!output.is_over && streams.output >= 0 && relay(&streams.output, FRAME_OUTPUT, &output, 0))
        ;
    while (!output.is_over && streams.errors >= 0 && relay(&streams.errors, FRAME_ERRORS, &output, 0))
        ;
    if (output.is_over)
        report("output");
    if (request->spec.network)
        network_end();
    if (stopped.si_pid == child.pid)
        report("stopped");
    if (ending == ENDED && group_is_over())
        ending = MEMORY;
    if (ending != ENDED && ending != FLOOD)
        report(ending == TIMEOUT ? "timeout" : ending == MEMORY ? "memory" : "cancelled");
    char line[LINE_BYTES];
    int none[PASS_MOST];
    size_t count;
    while (pass_receive(child.socket, line, sizeof line, none, &count))
        report("%s", line);
    report("usage %lld %lld %ld", (long long)(now_us() - started), (long long)(micro(usage.ru_utime) + micro(usage.ru_stime)),
           usage.ru_maxrss);
    report_end();
}
