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

#include "kernel.h"
#include "layers.h"
#include "report.h"

enum { CHUNK_BYTES = 64 << 10 };

/* The one frame that is on its way to the client. While it is, nothing more is read from the action, which then waits. */
static struct {
    char bytes[FRAME_HEADER + CHUNK_BYTES];
    size_t start, end;
} frame;

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

static bool waiting(void)
{
    return frame.start < frame.end;
}

/* What the client takes at once. One that is gone takes all. */
static void send_frame(int flags)
{
    while (waiting()) {
        ssize_t sent = send(CONTROL, frame.bytes + frame.start, frame.end - frame.start, MSG_NOSIGNAL | flags);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        frame.start = sent < 0 ? frame.end : frame.start + (size_t)sent;
    }
}

/* What is there of a stream becomes a frame. False at the stream's end; it is closed then. */
static bool relay(int *stream, enum frame kind, int flags)
{
    ssize_t got;
    do
        got = read(*stream, frame.bytes + FRAME_HEADER, CHUNK_BYTES);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        close(*stream);
        *stream = -1;
        return false;
    }
    frame.start = 0;
    frame.end = frame_header(frame.bytes, kind, (size_t)got) + (size_t)got;
    send_frame(flags);
    return true;
}

/* What is on its way to the action's input. */
struct input {
    char *bytes;
    size_t start, end;
    bool follows; /* more may come */
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

static int milliseconds_left(int64_t started, const struct spec *spec)
{
    int64_t left = (int64_t)spec->wall_ms - (now_us() - started) / 1000;
    return left < 0 ? 0 : left > 1000000000 ? 1000000000 : (int)left;
}

enum ending { ENDED, TIMEOUT, CANCELLED };

/* Relays until process 1 has ended, its time is over, or the client wants no more. */
static enum ending attend(int process, struct streams *streams, const struct request *request, int64_t started)
{
    enum { PROCESS, CLIENT, OUTPUT, ERRORS, INPUT };
    struct input input = {.bytes = request->input, .end = request->input_length, .follows = request->input_follows};
    fcntl(streams->input, F_SETFL, O_NONBLOCK);
    feed(&streams->input, &input);
    for (;;) {
        /* poll passes over a descriptor below zero */
        bool fed = input.start == input.end;
        short unless_full = input.follows && !fed ? 0 : POLLIN;
        struct pollfd events[] = {
            [PROCESS] = {.fd = process, .events = POLLIN},
            [CLIENT] = {.fd = CONTROL, .events = unless_full | POLLRDHUP | (waiting() ? POLLOUT : 0)},
            [OUTPUT] = {.fd = waiting() ? -1 : streams->output, .events = POLLIN},
            [ERRORS] = {.fd = waiting() ? -1 : streams->errors, .events = POLLIN},
            [INPUT] = {.fd = fed ? -1 : streams->input, .events = POLLOUT},
        };
        int ready = poll(events, sizeof events / sizeof *events, milliseconds_left(started, &request->spec));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            refuse(STAGE_WATCH, "cannot wait for the action"); /* process 1 dies with us */
        if (events[PROCESS].revents != 0)
            return ENDED;
        int client = events[CLIENT].revents & ~POLLOUT;
        if (client != 0 && !(input.follows && client == POLLIN && take_input(streams->input, &input)))
            return CANCELLED;
        if (milliseconds_left(started, &request->spec) == 0)
            return TIMEOUT;
        if (waiting())
            send_frame(MSG_DONTWAIT);
        else if (events[OUTPUT].revents != 0)
            relay(&streams->output, FRAME_OUTPUT, MSG_DONTWAIT);
        else if (events[ERRORS].revents != 0)
            relay(&streams->errors, FRAME_ERRORS, MSG_DONTWAIT);
        if (streams->input >= 0 && (events[INPUT].revents != 0 || client != 0))
            feed(&streams->input, &input);
    }
}

/* Whatever ends the action, nothing is left of it when the last line is written; and that line comes last. */
void watch(struct child child, struct streams streams, const struct request *request)
{
    int64_t started = now_us();
    int process = (int)syscall(NR_pidfd_open, child.pid, 0);
    if (process < 0)
        refuse(STAGE_WATCH, "cannot watch process 1");
    enum ending ending = attend(process, &streams, request, started);
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

    send_frame(0);
    while (streams.output >= 0 && relay(&streams.output, FRAME_OUTPUT, 0))
        ;
    while (streams.errors >= 0 && relay(&streams.errors, FRAME_ERRORS, 0))
        ;
    if (stopped.si_pid == child.pid)
        report("stopped");
    if (ending != ENDED)
        report(ending == TIMEOUT ? "timeout" : "cancelled");
    char line[LINE_BYTES];
    int none[PASS_MOST];
    size_t count;
    while (pass_receive(child.socket, line, sizeof line, none, &count))
        report("%s", line);
    report("usage %lld %lld %ld", (long long)(now_us() - started), (long long)(micro(usage.ru_utime) + micro(usage.ru_stime)),
           usage.ru_maxrss);
    shutdown(CONTROL, SHUT_RDWR); /* the pool has it too */
}
