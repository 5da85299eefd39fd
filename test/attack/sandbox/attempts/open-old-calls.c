#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* By every call that opens, also those that no C library makes any more; and emptied by one that only reads. */
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = O_RDONLY};
    (void)workspace, (void)extra;
    int got = first_of((int)syscall(437 /* openat2 */, AT_FDCWD, target, &how, sizeof how)) == 's' ||
              first_of(open(target, O_RDONLY)) == 's';
#ifdef SYS_open
    got = got || first_of((int)syscall(SYS_open, target, O_RDONLY)) == 's' || syscall(SYS_creat, target, 0600) >= 0;
#endif
    return got || open(target, O_RDONLY | O_TRUNC) >= 0;
}
