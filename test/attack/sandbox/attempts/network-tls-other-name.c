#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Connected to a name that is allowed, asks for another one that is at the same place. */
    (void)target, (void)workspace;
    char extensions[256];
    int socket = connected_by_name(extra);
    if (socket < 0)
        return 0;
    return says_hello(socket, extensions, server_name(extensions, "hidden.example.org")) && greeting(socket) == '!';
}
