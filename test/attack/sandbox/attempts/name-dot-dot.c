#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* By a path that begins in what is granted, from a folder that is open, and by the file's own folder. */
    char *above = NULL;
    (void)extra;
    int folder = open(workspace, O_RDONLY | O_DIRECTORY);
    if (asprintf(&above, "%s/../%s", workspace, strrchr(target, '/') + 1) < 0)
        return 0;
    return unlink(above) == 0 || unlinkat(folder, above + strlen(workspace) + 1, 0) == 0 || unlink(target) == 0;
}
