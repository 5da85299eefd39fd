#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    return connects(socket_, &at.secret) && send(socket_, "x", 1, 0) == 1 && greeting(socket_) == '!';
}
