#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Many at once, for the one that is overlooked. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    int reached = 0;
    for (int child = 0; child < 4; child++)
        if (fork() == 0) {
            int found = 0;
            for (int i = 0; i < 15 && !found; i++) {
                int socket = tcp();
                found = connects(socket, &at.secret) && greeting(socket) == '!';
                close(socket);
            }
            _exit(found);
        }
    for (int status; wait(&status) > 0;)
        reached |= WIFEXITED(status) && WEXITSTATUS(status) == 1;
    return reached;
}
