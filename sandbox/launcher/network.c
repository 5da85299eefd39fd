#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frame.h"
#include "held.h"
#include "image.h"
#include "kernel.h"
#include "layers.h"
#include "relay.h"
#include "report.h"

enum { NAME_BYTES = 1232, PLACE_BYTES = 6, JOIN_SECONDS = 2, MOST_QUESTIONS = 20000 };

static int names = -1; /* the questions for names */

/* Sockets of the action's network, each listening at the port that a connection was allowed for. */
static struct {
    int socket;
    unsigned port; /* 0: none yet */
} doors[NETWORK_PORTS];

static struct connection {
    enum { FREE, HELD, DIALLING, OPEN, OVER } state;
    uint32_t id;
    uint64_t call;
    int socket; /* the action's own, until it is joined */
    int error;  /* the dial failed before it began */
    struct sockaddr_in to;
    struct relay relay;
    enum { LOOK_FIRST, LOOK_SHOWN, LOOK_MORE, LOOK_REPLY, LOOK_OVER } look; /* at what the action says; LOOK_REPLY: at what it is answered */
    size_t shown;
    bool is_tls; /* whatever it says is shown */
} connections[NETWORK_CONNECTIONS];

static uint32_t last_id;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(frame_room(), LINE_BYTES, format, arguments);
    va_end(arguments);
    frame_start(FRAME_NETWORK, (size_t)length, MSG_DONTWAIT);
}

void network_open(const int *sockets)
{
    names = sockets[0];
    for (int i = 0; i < NETWORK_PORTS; i++)
        doors[i].socket = sockets[1 + i];
}

static pid_t process_of(pid_t thread)
{
    char path[64], line[128];
    pid_t process = -1;
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *status = fopen(path, "re");
    while (status != NULL && process < 0 && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Tgid: %d", &process);
    if (status != NULL)
        fclose(status);
    return process;
}

static int option_of(int socket, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

/*
 * The action's own socket, or minus what its call fails with. Whatever it is by now, it is one that the action has: it was made in the
 * empty network, and cannot leave it.
 */
static int take_socket(pid_t thread, int descriptor)
{
    int process = (int)syscall(NR_pidfd_open, process_of(thread), 0);
    if (process < 0)
        return -EACCES;
    int taken = (int)syscall(NR_pidfd_getfd, process, descriptor, 0);
    int error = errno;
    close(process);
    if (taken < 0)
        return error == EBADF ? -EBADF : -EACCES;
    if (option_of(taken, SO_DOMAIN) == AF_INET)
        return taken;
    close(taken);
    return -EACCES;
}

static void wake(int number)
{
    (void)number;
}

/*
 * A connect within the empty network. Both ends are ours or the action's, so it is done at once; a socket that was made deaf by its owner
 * costs JOIN_SECONDS, once, and is refused.
 */
static int connect_inside(int socket, const struct sockaddr *to, socklen_t length)
{
    const struct sigaction action = {.sa_handler = wake};
    sigaction(SIGALRM, &action, NULL);
    alarm(JOIN_SECONDS);
    int done = connect(socket, to, length);
    int error = done == 0 || errno == EINPROGRESS ? 0 : errno == EINTR ? ETIMEDOUT : errno;
    alarm(0);
    return error;
}

/* The address that the call names, copied once: what the action does with its memory from here on changes nothing. */
static bool copy_address(const struct seccomp_notif *call, struct sockaddr_storage *to, socklen_t length)
{
    struct iovec here = {to, length}, there = {(void *)(uintptr_t)call->data.args[1], length};
    return process_vm_readv((pid_t)call->pid, &here, 1, &there, 1, 0) == (ssize_t)length;
}

static struct connection *find(uint32_t id)
{
    for (struct connection *each = connections; each < connections + NETWORK_CONNECTIONS; each++)
        if (each->state != FREE && each->id == id)
            return each;
    return NULL;
}

static struct connection *find_free(void)
{
    for (struct connection *each = connections; each < connections + NETWORK_CONNECTIONS; each++)
        if (each->state == FREE)
            return each;
    return NULL;
}

bool network_has_room(void)
{
    return find_free() != NULL;
}

int network_take(const struct seccomp_notif *call)
{
    struct sockaddr_storage to = {0};
    struct sockaddr_in *plain = (struct sockaddr_in *)&to;
    socklen_t length = (socklen_t)call->data.args[2];
    if (length < sizeof to.ss_family || length > sizeof to)
        return EINVAL;
    if (!copy_address(call, &to, length))
        return errno == EPERM ? EACCES : EFAULT; /* of memory that we may not look into nothing is known, and nothing is allowed */
    int socket = take_socket((pid_t)call->pid, (int)call->data.args[0]);
    if (socket < 0)
        return -socket;
    bool is_stream = option_of(socket, SO_TYPE) == SOCK_STREAM;
    int error = 0;
    if (!held_lasts(call->id))
        error = EINTR;
    else if (!is_stream) /* to itself, or to whoever answers for names; there is nobody else in there */
        error = connect_inside(socket, (struct sockaddr *)&to, length);
    else if (to.ss_family != AF_INET)
        error = EAFNOSUPPORT;
    else if (length < sizeof *plain)
        error = EINVAL;
    if (!is_stream || error != 0) {
        close(socket);
        return error;
    }
    char address[INET_ADDRSTRLEN];
    struct connection *connection = find_free(); /* there is one, or no call was given to us */
    connection->state = HELD;
    connection->id = ++last_id;
    connection->call = call->id;
    connection->socket = socket;
    connection->to = *plain;
    inet_ntop(AF_INET, &plain->sin_addr, address, sizeof address);
    say("connect %u %d %s %u %llx", connection->id, (int)call->pid, address, ntohs(plain->sin_port),
        (unsigned long long)image_of((pid_t)call->pid));
    return -1;
}

/* Back to where it was before: nothing was dialled, or there nobody answers. */
static void drop(struct connection *connection, int error)
{
    if (connection->state == DIALLING)
        close(connection->relay.outside);
    close(connection->socket);
    held_answer(connection->call, error);
    connection->state = FREE;
}

static int door_at(unsigned port)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < NETWORK_PORTS; i++) {
        if (doors[i].port == port)
            return doors[i].socket;
        if (doors[i].port != 0)
            continue;
        if (bind(doors[i].socket, (const struct sockaddr *)&any, sizeof any) != 0 || listen(doors[i].socket, 16) != 0)
            return -1;
        doors[i].port = port;
        return doors[i].socket;
    }
    return -1;
}

/* Our end of what has just been connected, by its own address: whoever else knocks is not let in. */
static int accept_from(int door, const struct sockaddr_in *from)
{
    for (;;) {
        struct pollfd event = {.fd = door, .events = POLLIN};
        struct sockaddr_in found;
        socklen_t size = sizeof found;
        if (poll(&event, 1, JOIN_SECONDS * 1000) <= 0)
            return -1;
        int end = accept4(door, (struct sockaddr *)&found, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (end < 0)
            continue;
        if (found.sin_port == from->sin_port && found.sin_addr.s_addr == from->sin_addr.s_addr)
            return end;
        close(end);
    }
}

/* Answers with what the action's socket would have said, had it been outside. */
static int join(struct connection *connection)
{
    struct sockaddr_in to = connection->to, from;
    socklen_t size = sizeof from;
    int door = door_at(ntohs(to.sin_port));
    if (door < 0)
        return EADDRNOTAVAIL;
    if (ntohl(to.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* nothing else is reached in there */
    int error = connect_inside(connection->socket, (struct sockaddr *)&to, sizeof to);
    if (error != 0)
        return error;
    if (getsockname(connection->socket, (struct sockaddr *)&from, &size) != 0)
        return ECONNABORTED;
    int inside = accept_from(door, &from);
    if (inside < 0)
        return ETIMEDOUT;
    relay_begin(&connection->relay, inside, connection->relay.outside);
    return 0;
}

static void finish_dial(struct connection *connection)
{
    int error = connection->error != 0 ? connection->error : option_of(connection->relay.outside, SO_ERROR);
    if (error != 0) {
        close(connection->relay.outside);
        connection->state = HELD;
        say("failed %u %d", connection->id, error);
        return;
    }
    error = held_lasts(connection->call) ? join(connection) : EINTR;
    if (error != 0) {
        drop(connection, error);
        say("closed %u 0 0", connection->id);
        return;
    }
    close(connection->socket);
    connection->state = OPEN;
    connection->look = LOOK_FIRST;
    connection->shown = 0;
    connection->relay.out.allowed = 0;
    held_answer(connection->call, 0);
    say("open %u", connection->id);
}

static void look_no_more(struct connection *connection)
{
    connection->look = LOOK_OVER;
    connection->relay.out.allowed = UINT64_MAX;
}

/* The action hears that it was broken off, and not that it came to its end. */
static void cut(struct connection *connection)
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
            cut(connection); /* the rest that is wanted does not come */
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

static void look(struct connection *connection)
{
    if (connection->look == LOOK_REPLY)
        look_at_reply(connection);
    if (connection->look == LOOK_FIRST || connection->look == LOOK_MORE) /* what is to be shown may be there already, and then nothing wakes us */
        look_at_hello(connection);
}

static void pass_hello(struct connection *connection, unsigned bytes)
{
    bool is_second = connection->relay.out.passed > 0;
    if (is_second) {
        look_no_more(connection);
        return;
    }
    connection->relay.out.allowed = bytes;
    connection->look = LOOK_REPLY;
}

static void dial(struct connection *connection, const char *address, unsigned port)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool is_four = inet_pton(AF_INET, address, &four.sin_addr) == 1;
    if (!is_four && inet_pton(AF_INET6, address, &six.sin6_addr) != 1) {
        drop(connection, EINVAL);
        return;
    }
    const struct sockaddr *to = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    if (!held_lasts(connection->call)) {
        drop(connection, EINTR); /* its thread was killed: nothing is dialled for nobody */
        return;
    }
    int outside = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (outside < 0) {
        drop(connection, errno);
        return;
    }
    connection->relay.outside = outside;
    connection->state = DIALLING;
    connection->error = connect(outside, to, is_four ? sizeof four : sizeof six) == 0 || errno == EINPROGRESS ? 0 : errno;
}

void network_order(char *words)
{
    char address[INET6_ADDRSTRLEN], rule[4] = "";
    unsigned id, number;
    struct connection *connection;
    if (sscanf(words, "allow %u %45s %u %3s", &id, address, &number, rule) >= 3 && number > 0 && number < 65536) {
        if ((connection = find(id)) == NULL || connection->state != HELD)
            return;
        connection->is_tls = strcmp(rule, "tls") == 0;
        dial(connection, address, number);
    } else if (sscanf(words, "pass %u %u", &id, &number) == 2) {
        if ((connection = find(id)) != NULL && connection->state == OPEN && connection->look == LOOK_SHOWN)
            pass_hello(connection, number);
    } else if (sscanf(words, "more %u", &id) == 1) {
        if ((connection = find(id)) != NULL && connection->state == OPEN && connection->look == LOOK_SHOWN)
            connection->look = LOOK_MORE;
    } else if (sscanf(words, "cut %u", &id) == 1) {
        if ((connection = find(id)) != NULL && connection->state == OPEN)
            cut(connection);
    } else if (sscanf(words, "refuse %u %u", &id, &number) == 2 && number > 0 && number < 4096) {
        if ((connection = find(id)) != NULL && (connection->state == HELD || connection->state == DIALLING))
            drop(connection, (int)number);
    }
}

static void take_question(void)
{
    static unsigned asked;
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    char *room = frame_room();
    if (++asked > MOST_QUESTIONS) {
        close(names); /* whoever asks so much wants to keep the client busy */
        names = -1;
        return;
    }
    ssize_t got = recvfrom(names, room + PLACE_BYTES, NAME_BYTES, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (got < 0)
        return;
    memcpy(room, &from.sin_addr, 4);
    memcpy(room + 4, &from.sin_port, 2);
    frame_start(FRAME_NAMES, PLACE_BYTES + (size_t)got, MSG_DONTWAIT);
}

void network_answer(const char *answer, size_t length)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (length < PLACE_BYTES)
        return;
    memcpy(&to.sin_addr, answer, 4);
    memcpy(&to.sin_port, answer + 4, 2);
    sendto(names, answer + PLACE_BYTES, length - PLACE_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

size_t network_await(struct pollfd events[NETWORK_EVENTS])
{
    bool may_say = !frame_waits();
    events[0] = (struct pollfd){.fd = may_say ? names : -1, .events = POLLIN};
    for (size_t i = 0; i < NETWORK_CONNECTIONS; i++) {
        const struct connection *connection = &connections[i];
        struct pollfd *own = events + 1 + 3 * i;
        own[0] = (struct pollfd){.fd = may_say && connection->state == DIALLING ? connection->relay.outside : -1, .events = POLLOUT};
        own[1].fd = own[2].fd = -1;
        own[1].revents = own[2].revents = 0;
        if (connection->state == OPEN)
            relay_await(&connection->relay, own + 1);
    }
    return NETWORK_EVENTS;
}

static void tell_end(struct connection *connection, int flags)
{
    int length = snprintf(frame_room(), LINE_BYTES, "closed %u %llu %llu", connection->id, (unsigned long long)connection->relay.out.passed,
                          (unsigned long long)connection->relay.in.passed);
    connection->state = FREE;
    frame_start(FRAME_NETWORK, (size_t)length, flags);
}

/* Each step that says something is taken only while no frame waits; what is left is found again by the next poll. */
void network_serve(const struct pollfd events[NETWORK_EVENTS])
{
    for (size_t i = 0; i < NETWORK_CONNECTIONS; i++) {
        struct connection *connection = &connections[i];
        const struct pollfd *own = events + 1 + 3 * i;
        if (connection->state == OPEN && !relay_pass(&connection->relay, own + 1))
            connection->state = OVER;
        if (connection->state == OPEN && !frame_waits())
            look(connection);
        if (connection->state == DIALLING && own[0].revents != 0 && own[0].fd == connection->relay.outside && !frame_waits())
            finish_dial(connection);
        if (connection->state == OVER && !frame_waits())
            tell_end(connection, MSG_DONTWAIT);
    }
    if (events[0].revents != 0 && !frame_waits())
        take_question();
}

void network_end(void)
{
    for (struct connection *each = connections; each < connections + NETWORK_CONNECTIONS; each++) {
        frame_send(0);
        if (each->state == HELD || each->state == DIALLING)
            each->relay.out.passed = each->relay.in.passed = 0;
        if (each->state != FREE)
            tell_end(each, 0);
    }
}
