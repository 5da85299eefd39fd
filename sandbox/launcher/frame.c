/* The one frame that is on its way to the client. While it is, nothing more is taken from the action, which then waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"

static struct {
    char bytes[FRAME_HEADER + FRAME_BYTES];
    size_t start, end;
} frame;

bool frame_waits(void)
{
    return frame.start < frame.end;
}

void frame_send(int flags)
{
    while (frame_waits()) {
        ssize_t sent = send(CONTROL, frame.bytes + frame.start, frame.end - frame.start, MSG_NOSIGNAL | flags);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        frame.start = sent < 0 ? frame.end : frame.start + (size_t)sent;
    }
}

char *frame_room(void)
{
    return frame.bytes + FRAME_HEADER;
}

void frame_start(enum frame kind, size_t length, int flags)
{
    frame.start = 0;
    frame.end = frame_header(frame.bytes, kind, length) + length;
    frame_send(flags);
}
