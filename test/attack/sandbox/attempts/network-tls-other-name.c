#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Connected to a name that is allowed, asks for another one that is at the same place. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    char extensions[256], message[512];
    size_t length = 0;
    int socket = tcp();
    if (!connects_by_name(socket, &at))
        return 0;
    length += server_name(extensions, "hidden.example.org");
    return says(socket, message, hello(message, extensions, length)) && greeting(socket) == '!';
}
