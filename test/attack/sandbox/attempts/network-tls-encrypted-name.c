#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The name that is allowed in front, and another one where only the server can read it. */
    (void)target, (void)workspace;
    char extensions[256];
    int socket = connected_by_name(extra);
    if (socket < 0)
        return 0;
    size_t length = server_name(extensions, "open.example.org");
    length += extension(extensions + length, 0xfe0d, "hidden.example.org", 18);
    return says_hello(socket, extensions, length) && greeting(socket) == '!';
}
