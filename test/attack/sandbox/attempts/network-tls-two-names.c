#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Two names: which one counts is for whoever reads them. */
    (void)target, (void)workspace;
    char extensions[256];
    int socket = connected_by_name(extra);
    if (socket < 0)
        return 0;
    size_t length = server_name(extensions, "open.example.org");
    length += server_name(extensions + length, "hidden.example.org");
    return says_hello(socket, extensions, length) && greeting(socket) == '!';
}
