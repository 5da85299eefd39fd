#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    return sendto(socket_, "x", 1, 0, (struct sockaddr *)&at.secret, sizeof at.secret) == 1 && greeting(socket_) == '!';
}
