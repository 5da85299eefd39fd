/* The median nanoseconds of an open and a close: open PATH TIMES. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

int main(int count, char **arguments)
{
    int times = count == 3 ? atoi(arguments[2]) : 0;
    double *taken = calloc((size_t)times + 1, sizeof *taken);
    for (int i = 0; i < times; i++) {
        double begun = now_ns();
        int file = open(arguments[1], O_RDONLY | O_CLOEXEC);
        close(file);
        taken[i] = now_ns() - begun;
        if (file < 0)
            return 1;
    }
    qsort(taken, (size_t)times, sizeof *taken, ascending);
    printf("%f\n", taken[times / 2]);
    return 0;
}
