#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

/* No capability that is held, none to be gained by exec. A plain user's sets of what might be gained stay, and say nothing. */
void privileges_give_up(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}}, left[2];
    if (syscall(SYS_capset, &header, none) != 0)
        refuse(STAGE_PRIVILEGES, "cannot drop the capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        refuse(STAGE_PRIVILEGES, "cannot set no_new_privs");
    /* Process 1 keeps the control descriptor: the action, whose id it shares, may not look into it. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        refuse(STAGE_PRIVILEGES, "cannot close the process to others");

    errno = 0;
    if (syscall(SYS_capget, &header, left) != 0 || left[0].effective | left[0].permitted | left[0].inheritable |
                                                       left[1].effective | left[1].permitted | left[1].inheritable)
        refuse(STAGE_PRIVILEGES, "a capability is left");
}

/* Nothing to lose and no way to win it: no capability in any set, none gained by being root, none by exec. */
void privileges_drop(void)
{
    const unsigned long locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                 SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (prctl(PR_SET_SECUREBITS, locked) != 0)
        refuse(STAGE_PRIVILEGES, "cannot lock the secure bits");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        refuse(STAGE_PRIVILEGES, "cannot clear the ambient capabilities");
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            refuse(STAGE_PRIVILEGES, "cannot drop capability %lu", capability);
    privileges_give_up();
}
