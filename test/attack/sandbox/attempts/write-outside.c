#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)workspace, (void)extra;
    int file = open(target, O_WRONLY | O_APPEND);
    return file >= 0 && write(file, "x", 1) == 1;
}
