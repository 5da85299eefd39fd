#include "attack.h"
#include <sys/un.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* EXTRA is the name, in the workspace, of a socket on which a server of the test listens. */
    (void)target;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    return chdir(workspace) == 0 && strlen(strcpy(to.sun_path, extra)) > 0 &&
           connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to) == 0;
}
