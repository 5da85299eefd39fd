#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What ld.so does with a program that it is given: map it executable. */
    (void)target, (void)extra;
    char *path = in(workspace, "library");
    int file = drop_self(path) ? open(path, O_RDONLY) : -1;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}
