/* What an action says first on a connection, where it begins as TLS does: held back, shown to the client, and passed once that has read it. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>

#include "connection.h"
#include "frame.h"
#include "report.h"

static void look_no_more(struct connection *connection)
{
    connection->look = LOOK_OVER;
    connection->relay.out.allowed = UINT64_MAX;
}

void connection_cut(struct connection *connection)
{
    const struct linger reset = {.l_onoff = 1};
    setsockopt(connection->relay.inside, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    relay_close(&connection->relay);
    connection->state = OVER;
}

static void look_at_hello(struct connection *connection)
{
    enum { HANDSHAKE = 22, MOST_SHOWN = FRAME_BYTES - 4 };
    const char *bytes;
    size_t have = relay_waiting(&connection->relay.out, &bytes);
    if (have <= connection->shown) {
        if (connection->relay.out.ended && have > 0)
            connection_cut(connection); /* the rest that is wanted does not come */
        return;
    }
    if (bytes[0] != HANDSHAKE && !connection->is_tls && connection->look == LOOK_FIRST && connection->shown == 0) {
        look_no_more(connection);
        return;
    }
    char *room = frame_room();
    size_t length = have < MOST_SHOWN ? have : MOST_SHOWN;
    for (int i = 0; i < 4; i++)
        room[i] = (char)(connection->id >> 8 * i & 0xff);
    memcpy(room + 4, bytes, length);
    connection->shown = have;
    connection->look = LOOK_SHOWN;
    frame_start(FRAME_HELLO, 4 + length, MSG_DONTWAIT);
}

/* A server of TLS 1.3 that asks for another hello says so by these bytes in place of random ones (RFC 8446, 4.1.3). */
static void look_at_reply(struct connection *connection)
{
    static const unsigned char again[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
                                            0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    enum { HANDSHAKE = 22, BEFORE = HEAD_BYTES - sizeof again };
    const struct flow *in = &connection->relay.in;
    bool is_hello = in->head_length > 0 && in->head[0] == HANDSHAKE;
    if (in->head_length < HEAD_BYTES && !in->ended && (in->head_length == 0 || is_hello))
        return;
    if (!is_hello || in->head_length < HEAD_BYTES || memcmp(in->head + BEFORE, again, sizeof again) != 0) {
        look_no_more(connection);
        return;
    }
    connection->look = LOOK_MORE;
    connection->shown = 0;
}

void hello_look(struct connection *connection)
{
    if (connection->look == LOOK_REPLY)
        look_at_reply(connection);
    if (connection->look == LOOK_FIRST || connection->look == LOOK_MORE) /* what is to be shown may be there already, and then nothing wakes us */
        look_at_hello(connection);
}

void hello_pass(struct connection *connection, unsigned bytes)
{
    bool is_second = connection->relay.out.passed > 0;
    if (is_second) {
        look_no_more(connection);
        return;
    }
    connection->relay.out.allowed = bytes;
    connection->look = LOOK_REPLY;
}
