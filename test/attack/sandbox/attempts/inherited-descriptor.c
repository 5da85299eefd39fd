#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    for (int file = 3; file < 4096; file++)
        if (fcntl(file, F_GETFD) >= 0)
            return 1;
    return 0;
}
