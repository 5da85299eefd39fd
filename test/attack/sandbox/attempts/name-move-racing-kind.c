#include "attack.h"
#include "opens.h"

/* A file that is now one and now a link to what may not be read. */
static void *keep_changing_kind(void *given)
{
    struct swap *swap = given;
    char *next = NULL;
    if (asprintf(&next, "%s.next", swap->place) < 0)
        return NULL;
    for (unsigned turn = 0; !swap->over; turn++) {
        if (turn % 2)
            close(open(next, O_CREAT | O_WRONLY, 0600));
        else if (symlink(swap->other, next) != 0)
            continue;
        rename(next, swap->place);
    }
    return NULL;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Its own file goes to where it may go; a link in its place would mislead whoever looks there. The test looks there too. */
    char *own = in(workspace, "own"), *moved = NULL;
    struct stat found;
    int leads = 0;
    pthread_t other;
    struct swap swap = {.place = own, .other = target};
    if (asprintf(&moved, "%s.moved", extra) < 0)
        return 0;
    close(open(own, O_CREAT | O_WRONLY, 0600));
    rename(own, moved);
    if (pthread_create(&other, NULL, keep_changing_kind, &swap) != 0)
        return 0;
    while (!leads && goes_on())
        leads = rename(own, moved) == 0 && lstat(moved, &found) == 0 && S_ISLNK(found.st_mode);
    swap.over = 1;
    pthread_join(other, NULL);
    return leads;
}
