#include "attack.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Two files that change places: not a rename that anybody is asked about. */
    char *own = in(workspace, "own");
    close(open(own, O_CREAT | O_WRONLY, 0600));
    return syscall(SYS_renameat2, AT_FDCWD, own, AT_FDCWD, target, RENAME_EXCHANGE) == 0 ||
           syscall(SYS_renameat2, AT_FDCWD, extra, AT_FDCWD, target, RENAME_EXCHANGE) == 0;
}
