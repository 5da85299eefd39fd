#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace;
    char *path = in("/tmp", extra);
    char *arguments[] = {path, LANDED, NULL};
    pid_t child = drop_self(path) ? fork() : -1;
    if (child == 0)
        execv(path, arguments), _exit(1);
    int status = 1;
    waitpid(child, &status, 0);
    unlink(path);
    return child > 0 && status == 0;
}
