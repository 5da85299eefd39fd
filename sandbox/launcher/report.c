#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const stages[] = {
    [STAGE_SPEC - STAGE_SPEC] = "spec",
    [STAGE_NAMESPACES - STAGE_SPEC] = "namespaces",
    [STAGE_IDENTITY - STAGE_SPEC] = "identity",
    [STAGE_MOUNTS - STAGE_SPEC] = "mounts",
    [STAGE_ROOT - STAGE_SPEC] = "root",
    [STAGE_PRIVILEGES - STAGE_SPEC] = "privileges",
    [STAGE_LIMITS - STAGE_SPEC] = "limits",
    [STAGE_LANDLOCK - STAGE_SPEC] = "landlock",
    [STAGE_SECCOMP - STAGE_SPEC] = "seccomp",
    [STAGE_DESCRIPTORS - STAGE_SPEC] = "descriptors",
    [STAGE_EXEC - STAGE_SPEC] = "exec",
    [STAGE_WATCH - STAGE_SPEC] = "watch",
    [STAGE_CHANGED - STAGE_SPEC] = "changed",
    [STAGE_MAKE - STAGE_SPEC] = "make",
    [STAGE_POOL - STAGE_SPEC] = "pool",
    [STAGE_NETWORK - STAGE_SPEC] = "network",
    [STAGE_HAND - STAGE_SPEC] = "hand",
};

static bool to_worker, heard;

void report_to_worker(void)
{
    to_worker = true;
}

void report_is_heard(void)
{
    heard = true;
}

void report_end(void)
{
    char rest[4096];
    ssize_t got;
    shutdown(CONTROL, SHUT_WR); /* the pool has it too */
    do
        got = read(CONTROL, rest, sizeof rest);
    while (got > 0 || (got < 0 && errno == EINTR));
}

size_t frame_header(char *header, enum frame kind, size_t length)
{
    header[0] = (char)kind;
    for (int i = 0; i < 4; i++)
        header[1 + i] = (char)(length >> 8 * i & 0xff);
    return FRAME_HEADER;
}

static void send_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(CONTROL, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return; /* the client is gone, and its end ends us */
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* A path may hold a line break; a report may not. */
static void send_line(char *line, size_t length)
{
    char *text = line + FRAME_HEADER;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ')
            text[i] = '?';
    if (!to_worker)
        send_all(line, frame_header(line, FRAME_REPORT, length) + length);
    else
        while (send(CONTROL, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR)
            ;
}

static size_t shorter(int length, size_t most)
{
    return length < 0 ? 0 : (size_t)length < most ? (size_t)length : most;
}

void report(const char *format, ...)
{
    char line[FRAME_HEADER + LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + FRAME_HEADER, LINE_BYTES, format, arguments);
    va_end(arguments);
    send_line(line, shorter(length, LINE_BYTES - 1));
}

void refuse(enum stage stage, const char *format, ...)
{
    enum { CAUSE_BYTES = 100 };
    int cause = errno;
    char line[FRAME_HEADER + LINE_BYTES], *text = line + FRAME_HEADER;
    size_t length = shorter(snprintf(text, LINE_BYTES, "failed %s ", stages[stage - STAGE_SPEC]), LINE_BYTES - 1);
    va_list arguments;
    va_start(arguments, format);
    length += shorter(vsnprintf(text + length, LINE_BYTES - CAUSE_BYTES - length, format, arguments),
                      LINE_BYTES - CAUSE_BYTES - length - 1);
    va_end(arguments);
    if (cause != 0)
        length += shorter(snprintf(text + length, CAUSE_BYTES, ": %s", strerror(cause)), CAUSE_BYTES - 1);
    send_line(line, length);
    if (!to_worker && !heard)
        report_end();
    _exit(stage);
}
