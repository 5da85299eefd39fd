#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What is cut to four bytes, which is all that the one has, is now the other. The test looks at that too. */
    static char path[4096];
    struct stat found;
    int cut = 0;
    pthread_t other;
    (void)workspace;
    strcpy(path, extra);
    struct swap swap = {.place = path, .one = extra, .other = target};
    cut = truncate(path, 4) == 0 && stat(target, &found) == 0 && found.st_size == 4; /* undisturbed: what is allowed can be done */
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!cut && goes_on())
        cut = truncate(path, 4) == 0 && stat(target, &found) == 0 && found.st_size == 4;
    swap.over = 1;
    pthread_join(other, NULL);
    return cut;
}
