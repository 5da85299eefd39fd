#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "connection.h"
#include "frame.h"
#include "held.h"
#include "image.h"
#include "kernel.h"
#include "layers.h"
#include "names.h"
#include "relay.h"
#include "report.h"

static struct connection connections[NETWORK_CONNECTIONS];
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
    names_open(sockets[0]);
    ports_open(sockets + 1);
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
    int process = (int)syscall(NR_pidfd_open, thread, 0); /* mostly it is the first of its process, which has the process's number */
    if (process < 0)
        process = (int)syscall(NR_pidfd_open, process_of(thread), 0);
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
        error = ports_connect(socket, (struct sockaddr *)&to, length);
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

static void finish_dial(struct connection *connection)
{
    int error = connection->error != 0 ? connection->error : option_of(connection->relay.outside, SO_ERROR);
    if (error != 0) {
        close(connection->relay.outside);
        connection->state = HELD;
        say("failed %u %d", connection->id, error);
        return;
    }
    error = held_lasts(connection->call) ? ports_join(connection) : EINTR;
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
            hello_pass(connection, number);
    } else if (sscanf(words, "more %u", &id) == 1) {
        if ((connection = find(id)) != NULL && connection->state == OPEN && connection->look == LOOK_SHOWN)
            connection->look = LOOK_MORE;
    } else if (sscanf(words, "cut %u", &id) == 1) {
        if ((connection = find(id)) != NULL && connection->state == OPEN)
            connection_cut(connection);
    } else if (sscanf(words, "refuse %u %u", &id, &number) == 2 && number > 0 && number < 4096) {
        if ((connection = find(id)) != NULL && (connection->state == HELD || connection->state == DIALLING))
            drop(connection, (int)number);
    }
}

/* How many connections, from the first, the last poll was about: the kernel looks at each place that it is given. */
static size_t awaited;

size_t network_await(struct pollfd events[NETWORK_EVENTS])
{
    bool may_say = !frame_waits();
    events[0] = names_await();
    for (awaited = NETWORK_CONNECTIONS; awaited > 0 && connections[awaited - 1].state == FREE;)
        awaited--;
    for (size_t i = 0; i < awaited; i++) {
        const struct connection *connection = &connections[i];
        struct pollfd *own = events + 1 + 3 * i;
        own[0] = (struct pollfd){.fd = may_say && connection->state == DIALLING ? connection->relay.outside : -1, .events = POLLOUT};
        own[1].fd = own[2].fd = -1;
        own[1].revents = own[2].revents = 0;
        if (connection->state == OPEN)
            relay_await(&connection->relay, own + 1);
    }
    return 1 + 3 * awaited;
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
    for (size_t i = 0; i < awaited; i++) {
        struct connection *connection = &connections[i];
        const struct pollfd *own = events + 1 + 3 * i;
        if (connection->state == OPEN && !relay_pass(&connection->relay, own + 1))
            connection->state = OVER;
        if (connection->state == OPEN && !frame_waits())
            hello_look(connection);
        if (connection->state == DIALLING && own[0].revents != 0 && own[0].fd == connection->relay.outside && !frame_waits())
            finish_dial(connection);
        if (connection->state == OVER && !frame_waits())
            tell_end(connection, MSG_DONTWAIT);
    }
    if (events[0].revents != 0 && !frame_waits())
        names_take();
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
