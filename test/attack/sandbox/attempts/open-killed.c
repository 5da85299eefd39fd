#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Threads that are killed while they wait, again and again, and others in their place that want something else. */
    int leaked = 0;
    (void)workspace;
    for (int i = 0; i < 60 && !leaked; i++) {
        pid_t waiting = fork();
        if (waiting == 0)
            _exit(first_of(open(extra, O_RDONLY)) == 0);
        usleep((unsigned)i * 40);
        kill(waiting, SIGKILL);
        waitpid(waiting, NULL, 0);
        leaked = first_of(open(target, O_RDONLY)) == 's';
    }
    return leaked;
}
