#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A socket whose handshake nobody answers. */
    (void)target, (void)workspace, (void)extra;
    struct sockaddr_in to = place("127.0.0.1", 1);
    struct tcp_md5sig key = {.tcpm_keylen = 1, .tcpm_key = "x"};
    memcpy(&key.tcpm_addr, &to, sizeof to);
    return setsockopt(tcp(), IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) == 0;
}
