/*
 * Run inside the sandbox by the availability check, with nothing granted but itself: tries to break each layer and prints the
 * name of every one that gave way. Prints nothing and ends with 0 when all held. A call that is meant to fail must fail for lack of
 * permission or of the thing itself, never because it was called wrongly: each of these succeeds for a plain program outside.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int broken;

static void expect(const char *layer, int held)
{
    if (!held) {
        printf("%s\n", layer);
        broken = 1;
    }
}

static int readable(const char *path)
{
    int file = open(path, O_RDONLY);
    if (file < 0)
        return 0;
    close(file);
    return 1;
}

static long status_field(const char *name)
{
    char line[256];
    long value = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 16);
    if (status)
        fclose(status);
    return value;
}

/* With a network that allows nothing: its calls have to be held, and answered. */
static int probe_network(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in any = {.sin_family = AF_INET};
    int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
    expect("sockets", stream >= 0 && datagram >= 0);
    expect("held connections", connect(stream, (struct sockaddr *)&to, sizeof to) != 0 && errno == EACCES);
    expect("held names", connect(datagram, (struct sockaddr *)&to, sizeof to) == 0);
    expect("sends that connect", sendto(stream, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to) < 0 && errno == EPERM);
    expect("binding", bind(stream, (struct sockaddr *)&any, sizeof any) != 0 && listen(stream, 1) != 0);
    expect("other sockets", socket(AF_INET6, SOCK_STREAM, 0) < 0 && socket(AF_UNIX, SOCK_STREAM, 0) < 0 &&
                                socket(AF_NETLINK, SOCK_RAW, 0) < 0 && socket(AF_INET, SOCK_RAW, 1) < 0);
    return broken;
}

int main(int count, char **arguments)
{
    struct rlimit limit;
    /* Without namespaces there is no other process to hide from, and no /proc to look into. */
    int degraded = count == 3 && strcmp(arguments[2], "degraded") == 0;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    if (count == 2 && strcmp(arguments[1], "network") == 0)
        return probe_network();
    /* mounts and Landlock: the secret is a real, readable file outside, named by whoever runs this */
    expect("reading outside", count >= 2 && !readable(arguments[1]));
    expect("host files", !readable("/etc/passwd") && !readable("/proc/kallsyms") && !readable("/sys/kernel"));
    expect("listing the root", opendir("/") == NULL);
    expect("writing outside /tmp", open("/made", O_CREAT | O_WRONLY, 0600) < 0);
    expect("executing in /tmp", syscall(SYS_memfd_create, "x", 0) < 0);
    /* namespaces */
    expect("process namespace", degraded ? fork() < 0 && kill(getppid(), 0) != 0 : getppid() == 1 && getpid() < 10);
    expect("signals by a descriptor", !degraded || fcntl(0, F_SETOWN, getppid()) != 0);
    expect("dying with its parent", !degraded || prctl(PR_SET_PDEATHSIG, 0) != 0);
    expect("new namespaces", unshare(CLONE_NEWUSER) != 0);
    expect("unprivileged id", getuid() != 0 && geteuid() != 0 && getgid() != 0);
    /* privileges */
    expect("capabilities", syscall(SYS_capget, &header, sets) == 0 && sets[0].permitted == 0 && sets[1].permitted == 0);
    expect("capabilities to be gained", degraded || (status_field("CapPrm:") == 0 && status_field("CapEff:") == 0 && status_field("CapBnd:") == 0 &&
                               status_field("CapAmb:") == 0 && status_field("CapInh:") == 0));
    expect("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    /* seccomp */
    expect("seccomp", degraded || status_field("Seccomp:") == 2);
    expect("modes and times", !degraded || (chmod(arguments[0], 0) != 0 && utimensat(AT_FDCWD, arguments[1], NULL, 0) != 0));
    expect("network", socket(AF_INET, SOCK_STREAM, 0) < 0 && socket(AF_INET6, SOCK_DGRAM, 0) < 0);
    expect("local sockets", socket(AF_UNIX, SOCK_STREAM, 0) < 0 && socket(AF_NETLINK, SOCK_RAW, 0) < 0);
    expect("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0) != 0);
    expect("shared memory", mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    /* limits */
    expect("limits", getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 &&
                         limit.rlim_max != RLIM_INFINITY && getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_max != RLIM_INFINITY);
    expect("descriptors", fcntl(3, F_GETFD) < 0 && errno == EBADF);
    return broken;
}
