#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The first words ask for what is allowed; a server that wants them again gets others, at once or when it asks. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    char extensions[256], message[512];
    size_t length = 0;
    int socket = tcp();
    if (!connects_by_name(socket, &at))
        return 0;
    length = hello(message, extensions, server_name(extensions, "open.example.org"));
    if (!says(socket, message, length))
        return 0;
    length = hello(message, extensions, server_name(extensions, "hidden.example.org"));
    if (!says(socket, message, length))
        return 0;
    /* The answer that wants them again is of so many bytes, and begins as a record does. */
    char answer[49], first = greeting(socket);
    if (first == '!')
        return 1;
    if (first != 22 || recv(socket, answer, sizeof answer - 1, MSG_WAITALL) != sizeof answer - 1)
        return 0;
    return greeting(socket) == '!';
}
