#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* One's own file, where modes are held and so get past what denies this to others. */
    char *path = in(workspace, "set-id");
    (void)extra;
    chmod(target, 0777);
    return drop_self(path) && (chmod(path, 04755) == 0 || syscall(SYS_fchmodat, AT_FDCWD, path, 02755) == 0);
}
