#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be read, by its descriptor: opened again to be written. */
    char path[64];
    (void)target, (void)workspace;
    int file = open(extra, O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int again = open(path, O_WRONLY);
    return again >= 0 && write(again, "x", 1) == 1;
}
