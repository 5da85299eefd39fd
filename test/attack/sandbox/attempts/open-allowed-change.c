#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be read is made to belong to everybody, or another time, by its descriptor. */
    const struct timespec times[2] = {{0}, {0}};
    (void)target, (void)workspace;
    int file = open(extra, O_RDONLY);
    return file >= 0 && (fchmod(file, 0666) == 0 || futimens(file, times) == 0);
}
