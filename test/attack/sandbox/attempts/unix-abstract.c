#include "attack.h"
#include <sys/un.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at.sun_family) == 0;
}
