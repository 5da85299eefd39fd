#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Another name, in records and packets of a few bytes. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    char extensions[256], message[512];
    size_t length = 0;
    int socket = tcp();
    if (!connects_by_name(socket, &at))
        return 0;
    length = hello(message, extensions, server_name(extensions, "hidden.example.org"));
    for (size_t i = 0; i < length; i += 7) {
        if (!says(socket, message + i, length - i < 7 ? length - i : 7))
            return 0;
        usleep(1000);
    }
    return greeting(socket) == '!';
}
