#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be given a mode is another file between the moment it is looked at and the moment it is used. The test looks at that too. */
    static char path[4096];
    struct stat found;
    int given = 0;
    pthread_t other;
    (void)workspace;
    strcpy(path, extra);
    struct swap swap = {.place = path, .one = extra, .other = target};
    chmod(path, 0604); /* undisturbed: what is allowed can be done */
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!given && goes_on()) {
        chmod(path, 0604);
        given = stat(target, &found) == 0 && (found.st_mode & 0777) == 0604;
    }
    swap.over = 1;
    pthread_join(other, NULL);
    return given;
}
