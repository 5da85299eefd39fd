/*
 * Does what its standard input says, one operation a line, and prints for each whether it could: 1 or 0.
 *
 *     read PATH · write PATH · list PATH · create PATH · execute PATH · connect HOST PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int can_open(const char *path, int flags)
{
    int file = open(path, flags, 0600);
    if (file < 0)
        return 0;
    close(file);
    return 1;
}

static int can_list(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    int listed = readdir(folder) != NULL;
    closedir(folder);
    return listed;
}

static int can_execute(const char *path)
{
    pid_t child = vfork();
    if (child == 0) {
        execl(path, path, "there", (char *)NULL);
        _exit(1);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

/* As a C library asks, without one that has to be loaded. */
static int address_of(const char *host, struct in_addr *found)
{
    unsigned char message[300] = {0, 1, 1, 0, 0, 1}, *at = message + 12;
    for (const char *part = host; *part != '\0';) {
        size_t length = strcspn(part, ".");
        *at++ = (unsigned char)length;
        memcpy(at, part, length);
        at += length;
        part += length + (part[length] == '.');
    }
    memcpy(at, "\0\0\1\0\1", 5);
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int names = socket(AF_INET, SOCK_DGRAM, 0);
    struct pollfd event = {.fd = names, .events = POLLIN};
    ssize_t got = -1;
    if (connect(names, (struct sockaddr *)&server, sizeof server) == 0 && send(names, message, (size_t)(at + 5 - message), 0) > 0 &&
        poll(&event, 1, 5000) == 1)
        got = recv(names, message, sizeof message, 0);
    close(names);
    if (got < 16 || message[7] != 1)
        return 0;
    memcpy(found, message + got - 4, 4);
    return 1;
}

static int can_connect(const char *host, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char byte;
    if (!address_of(host, &to.sin_addr))
        return 0;
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    int could = connect(stream, (struct sockaddr *)&to, sizeof to) == 0 && recv(stream, &byte, 1, 0) == 1;
    close(stream);
    return could;
}

static int can(char *line)
{
    char *path = strchr(line, ' ');
    if (path == NULL)
        return 0;
    *path++ = '\0';
    if (strcmp(line, "read") == 0)
        return can_open(path, O_RDONLY);
    if (strcmp(line, "write") == 0)
        return can_open(path, O_WRONLY | O_APPEND);
    if (strcmp(line, "create") == 0)
        return can_open(path, O_WRONLY | O_CREAT | O_EXCL) && unlink(path) == 0;
    if (strcmp(line, "list") == 0)
        return can_list(path);
    if (strcmp(line, "execute") == 0)
        return can_execute(path);
    char *port = strchr(path, ' ');
    if (strcmp(line, "connect") != 0 || port == NULL)
        return 0;
    *port++ = '\0';
    return can_connect(path, atoi(port));
}

int main(int count, char **arguments)
{
    char line[8192];
    if (count == 2 && strcmp(arguments[1], "there") == 0)
        return 7;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        putchar(can(line) ? '1' : '0');
    }
    return 0;
}
