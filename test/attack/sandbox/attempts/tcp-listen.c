#include "attack.h"
#include <arpa/inet.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM, 0);
    return bind(server, (struct sockaddr *)&at, sizeof at) == 0 && listen(server, 1) == 0;
}
