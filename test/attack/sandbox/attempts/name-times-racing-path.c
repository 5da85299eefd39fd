#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What may be given times is another file between the moment it is looked at and the moment it is used. The test looks at that too. */
    static char path[4096];
    const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    struct stat found;
    int given = 0;
    pthread_t other;
    (void)workspace;
    strcpy(path, extra);
    struct swap swap = {.place = path, .one = extra, .other = target};
    utimensat(AT_FDCWD, path, times, 0); /* undisturbed: what is allowed can be done */
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!given && goes_on()) {
        utimensat(AT_FDCWD, path, times, 0);
        given = stat(target, &found) == 0 && found.st_mtim.tv_sec == 1000000000;
    }
    swap.over = 1;
    pthread_join(other, NULL);
    return given;
}
