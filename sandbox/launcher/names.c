#define _GNU_SOURCE
#include "names.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "report.h"

enum { NAME_BYTES = 1232, PLACE_BYTES = 6, MOST_QUESTIONS = 20000 };

static int names = -1;

void names_open(int socket)
{
    names = socket;
}

struct pollfd names_await(void)
{
    return (struct pollfd){.fd = frame_waits() ? -1 : names, .events = POLLIN};
}

void names_take(void)
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

void names_answer(const char *answer, size_t length)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (length < PLACE_BYTES)
        return;
    memcpy(&to.sin_addr, answer, 4);
    memcpy(&to.sin_port, answer + 4, 2);
    sendto(names, answer + PLACE_BYTES, length - PLACE_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}
