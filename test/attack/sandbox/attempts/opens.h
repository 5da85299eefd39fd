/* For attempts at files that are asked for. EXTRA is a file beside TARGET that may be read, and says "fine"; TARGET may not, and says "secret". */
#ifndef ATTACK_OPENS_H
#define ATTACK_OPENS_H
#include <pthread.h>
#include <time.h>

/* The first byte of the file, or 0; the descriptor is closed. */
__attribute__((unused)) static char first_of(int file)
{
    char byte = 0;
    ssize_t got = file < 0 ? 0 : read(file, &byte, 1);
    close(file);
    return got == 1 ? byte : 0;
}

struct swap {
    volatile int over;
    char *place;
    const char *one, *other;
    pthread_t thread;
};

/* A path in memory that is now this and now that. */
__attribute__((unused)) static void *keep_rewriting(void *given)
{
    struct swap *swap = given;
    while (!swap->over) {
        for (volatile int still = strcpy(swap->place, swap->one) != NULL; still < 2000; still++)
            ;
        for (volatile int still = strcpy(swap->place, swap->other) != NULL; still < 2000; still++)
            ;
    }
    return NULL;
}

/* A link that leads now here and now there. */
__attribute__((unused)) static void *keep_relinking(void *given)
{
    struct swap *swap = given;
    char *next = NULL;
    if (asprintf(&next, "%s.next", swap->place) < 0)
        return NULL;
    for (unsigned turn = 0; !swap->over; turn++)
        if (symlink(turn % 2 ? swap->one : swap->other, next) == 0)
            rename(next, swap->place);
    return NULL;
}

/* A race is run for so long: outside of the sandbox it is won within a few milliseconds. */
__attribute__((unused)) static int goes_on(void)
{
    static struct timespec end;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (end.tv_sec == 0 && end.tv_nsec == 0)
        end = (struct timespec){now.tv_sec + (now.tv_nsec >= 400000000), (now.tv_nsec + 600000000) % 1000000000};
    return now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec);
}

/* Another thread changes the place, until the race is over. */
__attribute__((unused)) static int race_begins(struct swap *swap, void *(*change)(void *))
{
    return pthread_create(&swap->thread, NULL, change, swap) == 0;
}

__attribute__((unused)) static void race_ends(struct swap *swap)
{
    swap->over = 1;
    pthread_join(swap->thread, NULL);
}

/* A path in memory that is the one, and is to become the other and back. */
__attribute__((unused)) static struct swap between(char path[4096], const char *one, const char *other)
{
    strcpy(path, one);
    return (struct swap){.place = path, .one = one, .other = other};
}

/* Whether the secret comes out of a path that is kept changing. */
__attribute__((unused)) static int leaks(void *(*change)(void *), struct swap *swap, const char *path)
{
    int leaked = first_of(open(path, O_RDONLY)) == 's'; /* undisturbed: what is allowed is there to be had */
    if (!race_begins(swap, change))
        return 0;
    while (!leaked && goes_on())
        leaked = first_of(open(path, O_RDONLY)) == 's';
    race_ends(swap);
    return leaked;
}
#endif
