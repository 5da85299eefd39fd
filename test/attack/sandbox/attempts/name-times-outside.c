#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The times of what may not be touched, by every call that there is for it. */
    const struct timespec times[2] = {{1, 2}, {3, 4}};
    const struct timeval old[2] = {{1, 2}, {3, 4}};
    char *way = in(workspace, "way");
    (void)extra;
    if (symlink(target, way) != 0)
        return 0;
#ifdef __x86_64__
    const long older[2] = {1, 3};
    if (syscall(SYS_utime, target, older) == 0 || syscall(SYS_utimes, target, old) == 0 || syscall(SYS_futimesat, AT_FDCWD, target, old) == 0)
        return 1;
#endif
    return utimensat(AT_FDCWD, target, times, 0) == 0 || utimensat(AT_FDCWD, target, NULL, 0) == 0 || utimensat(AT_FDCWD, way, times, 0) == 0 ||
           utimes(way, old) == 0;
}
