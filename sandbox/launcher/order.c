#define _GNU_SOURCE
#include "order.h"

#include <errno.h>
#include <sys/socket.h>

#include "report.h"

static char bytes[FRAME_HEADER + ORDER_BYTES + 1]; /* and a NUL behind the words of one */
static size_t have;

/* Of the frame that is being read; before its header is whole, of that alone. */
static size_t wanted(void)
{
    size_t length = 0;
    for (int i = 0; i < 4 && have >= FRAME_HEADER; i++)
        length |= (size_t)(unsigned char)bytes[1 + i] << 8 * i;
    return FRAME_HEADER + length;
}

enum order order_take(char **body, size_t *length)
{
    do {
        if (wanted() > FRAME_HEADER + ORDER_BYTES)
            return ORDER_END;
        ssize_t got = recv(CONTROL, bytes + have, wanted() - have, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            return ORDER_NONE;
        if (got <= 0)
            return ORDER_END;
        have += (size_t)got;
    } while (have < FRAME_HEADER || have < wanted());
    *body = bytes + FRAME_HEADER;
    *length = have - FRAME_HEADER;
    bytes[have] = '\0';
    have = 0;
    char kind = bytes[0];
    return kind == ORDER_INPUT || kind == ORDER_NETWORK || kind == ORDER_NAMES || kind == ORDER_OPEN ? (enum order)kind : ORDER_END;
}
