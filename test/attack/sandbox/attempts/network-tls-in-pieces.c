#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Another name, in records and packets of a few bytes. */
    (void)target, (void)workspace;
    char extensions[256], message[512];
    int socket = connected_by_name(extra);
    if (socket < 0)
        return 0;
    size_t length = hello(message, extensions, server_name(extensions, "hidden.example.org"));
    for (size_t i = 0; i < length; i += 7) {
        if (!says(socket, message + i, length - i < 7 ? length - i : 7))
            return 0;
        usleep(1000);
    }
    return greeting(socket) == '!';
}
