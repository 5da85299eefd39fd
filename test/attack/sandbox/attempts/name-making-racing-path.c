#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A folder and a link that are made where they may be, and by then elsewhere; removed again where they may be. The test looks elsewhere too. */
    static char path[4096];
    char *own = in(workspace, "made"), *beside = NULL;
    struct stat found;
    int made = 0;
    pthread_t other;
    (void)extra;
    if (asprintf(&beside, "%s.made", target) < 0)
        return 0;
    strcpy(path, own);
    struct swap swap = {.place = path, .one = own, .other = beside};
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!made && goes_on()) {
        mkdir(path, 0700);
        made = lstat(beside, &found) == 0;
        rmdir(own);
        symlink("x", path);
        made |= lstat(beside, &found) == 0;
        unlink(own);
    }
    swap.over = 1;
    pthread_join(other, NULL);
    return made;
}
