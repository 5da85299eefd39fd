#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* What is not to be had by its path, by another one that leads there. */
    char *up = in(workspace, "../target"), *link = in(workspace, "link"), *round = NULL;
    int folder = open(workspace, O_PATH | O_DIRECTORY);
    if (symlink(target, link) != 0 || asprintf(&round, "%s/../target", strrchr(extra, '/') ? workspace : extra) < 0)
        return 0;
    return first_of(open(up, O_RDONLY)) == 's' || first_of(open(link, O_RDONLY)) == 's' || first_of(open(round, O_RDONLY)) == 's' ||
           first_of(openat(folder, "../target", O_RDONLY)) == 's';
}
