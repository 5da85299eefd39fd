#include "attack.h"
#include "tls.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The first words ask for what is allowed; a server that wants them again gets others, at once or when it asks. */
    (void)target, (void)workspace;
    char extensions[256];
    int socket = connected_by_name(extra);
    if (socket < 0)
        return 0;
    if (!says_hello(socket, extensions, server_name(extensions, "open.example.org")))
        return 0;
    if (!says_hello(socket, extensions, server_name(extensions, "hidden.example.org")))
        return 0;
    /* The answer that wants them again is of so many bytes, and begins as a record does. */
    char answer[49], first = greeting(socket);
    if (first == '!')
        return 1;
    if (first != 22 || recv(socket, answer, sizeof answer - 1, MSG_WAITALL) != sizeof answer - 1)
        return 0;
    return greeting(socket) == '!';
}
