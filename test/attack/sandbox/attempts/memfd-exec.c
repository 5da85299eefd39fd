#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    int file = memfd_create("program", 0);
    char *arguments[] = {"program", LANDED, NULL};
    if (file >= 0 && copy_self(file))
        fexecve(file, arguments, environ);
    return 0;
}
