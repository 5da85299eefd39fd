/* First words of TLS, written by hand: as much as says which name is asked for. */
#ifndef ATTACK_TLS_H
#define ATTACK_TLS_H
#include "network.h"

/* To the open name as the names of this place have it: in a sandbox at 127.0.0.1, outside at the server of the test. The socket, or -1. */
__attribute__((unused)) static int connected_by_name(const char *extra)
{
    struct places at = places_of(extra);
    int connecting = tcp();
    static const char question[] = "\0\1\1\0\0\1\0\0\0\0\0\0\4open\7example\3org\0\0\1\0\1";
    struct sockaddr_in servers[] = {place("127.0.0.1", 53), at.names}, to = at.shared;
    for (int i = 0; i < 2; i++) {
        char reply[512] = {0};
        int asking = socket(AF_INET, SOCK_DGRAM, 0);
        struct pollfd event = {.fd = asking, .events = POLLIN};
        ssize_t got = 0;
        if (connects(asking, &servers[i]) && send(asking, question, sizeof question - 1, 0) > 0 && poll(&event, 1, 200) == 1)
            got = recv(asking, reply, sizeof reply, 0);
        close(asking);
        if (got < 16 || reply[7] == 0)
            continue;
        memcpy(&to.sin_addr, reply + got - 4, 4);
        return connects(connecting, &to) ? connecting : -1;
    }
    return -1;
}

/* An extension behind what is there; its bytes as they are. */
__attribute__((unused)) static size_t extension(char *at, unsigned type, const char *bytes, size_t length)
{
    const char head[] = {(char)(type >> 8), (char)type, (char)(length >> 8), (char)length};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, bytes, length);
    return sizeof head + length;
}

__attribute__((unused)) static size_t server_name(char *at, const char *name)
{
    char bytes[80] = {0, (char)(strlen(name) + 3), 0, 0, (char)strlen(name)};
    memcpy(bytes + 5, name, strlen(name));
    return extension(at, 0, bytes, 5 + strlen(name));
}

/* The message, without the header of its record. */
__attribute__((unused)) static size_t hello(char *to, const char *extensions, size_t length)
{
    static const char fixed[] = {0, 0, 2, 0x13, 1, 1, 0}; /* no session, one cipher, no compression */
    size_t body = 2 + 32 + sizeof fixed + 2 + length;
    memset(to, 'r', 4 + body);
    memcpy(to, (const char[]){1, 0, (char)(body >> 8), (char)body, 3, 3}, 6);
    memcpy(to + 6 + 32, fixed, sizeof fixed);
    char *last = to + 6 + 32 + sizeof fixed;
    last[0] = (char)(length >> 8);
    last[1] = (char)length;
    memcpy(last + 2, extensions, length);
    return 4 + body;
}

__attribute__((unused)) static int says(int socket, const char *message, size_t length)
{
    char record[2048] = {22, 3, 1, (char)(length >> 8), (char)length};
    memcpy(record + 5, message, length);
    return send(socket, record, 5 + length, MSG_NOSIGNAL) == (ssize_t)(5 + length);
}

__attribute__((unused)) static int says_hello(int socket, const char *extensions, size_t length)
{
    char message[512];
    return says(socket, message, hello(message, extensions, length));
}
#endif
