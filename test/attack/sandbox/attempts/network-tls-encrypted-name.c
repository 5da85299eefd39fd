#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The name that is allowed in front, and another one where only the server can read it. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    char extensions[256], message[512];
    size_t length = 0;
    int socket = tcp();
    if (!connects_by_name(socket, &at))
        return 0;
    length += server_name(extensions, "open.example.org");
    length += extension(extensions + length, 0xfe0d, "hidden.example.org", 18);
    return says(socket, message, hello(message, extensions, length)) && greeting(socket) == '!';
}
