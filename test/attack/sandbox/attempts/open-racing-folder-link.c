#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The same with a folder on the way: what is allowed and what is not have the same name in different folders. */
    char *outer = strdup(target), *link = in(workspace, "way"), *own = in(workspace, "own"), *path = NULL, *inside = NULL;
    (void)extra;
    *strrchr(outer, '/') = '\0';
    mkdir(own, 0700);
    if (symlink(own, link) != 0 || asprintf(&path, "%s/target", link) < 0 || asprintf(&inside, "%s/target", own) < 0)
        return 0;
    close(open(inside, O_CREAT | O_WRONLY, 0600));
    struct swap swap = {.place = link, .one = own, .other = outer};
    return leaks(keep_relinking, &swap, path);
}
