/*
 * The median microseconds of a connect with a GET: connect PORT TIMES [PROXY-PORT]. With a proxy each is asked for by CONNECT first.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static int ask(int stream, const char *text, int to_the_end)
{
    char reply[4096];
    ssize_t got, length = 0;
    if (write(stream, text, strlen(text)) < 0)
        return 0;
    while ((got = read(stream, reply, sizeof reply)) > 0) {
        length += got;
        if (!to_the_end)
            break;
    }
    return length > 0;
}

int main(int count, char **arguments)
{
    int port = atoi(arguments[1]), times = atoi(arguments[2]), proxy = count > 3 ? atoi(arguments[3]) : 0;
    double *taken = calloc((size_t)times, sizeof *taken);
    char wish[128];
    snprintf(wish, sizeof wish, "CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n", port);
    for (int i = 0; i < times; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)(proxy ? proxy : port))};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        double begun = now_us();
        int stream = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(stream, (struct sockaddr *)&to, sizeof to) != 0 || (proxy && !ask(stream, wish, 0)) ||
            !ask(stream, "GET / HTTP/1.0\r\n\r\n", 1))
            return 1;
        close(stream);
        taken[i] = now_us() - begun;
    }
    qsort(taken, (size_t)times, sizeof *taken, ascending);
    printf("%.0f\n", taken[times / 2]);
    return 0;
}
