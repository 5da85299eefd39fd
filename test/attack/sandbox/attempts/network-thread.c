#include "attack.h"
#include "network.h"

static struct places threads_places;

static void *from_thread(void *none)
{
    int socket = tcp();
    (void)none;
    return connects(socket, &threads_places.secret) && greeting(socket) == '!' ? &threads_places : NULL;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    threads_places = places_of(extra);
    pthread_t other;
    void *reached = NULL;
    return pthread_create(&other, NULL, from_thread, NULL) == 0 && pthread_join(other, &reached) == 0 && reached != NULL;
}
