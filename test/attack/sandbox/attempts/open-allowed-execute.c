#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be read is mapped to be executed. */
    (void)target, (void)workspace;
    int file = open(extra, O_RDONLY);
    return file >= 0 && mmap(NULL, 4, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}
