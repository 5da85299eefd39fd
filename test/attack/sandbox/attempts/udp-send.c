#include "attack.h"
#include <arpa/inet.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(extra)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1;
}
