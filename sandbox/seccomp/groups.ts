/** Of the calls that an action has, what a policy can take away by the name of a group. What it takes of calls that have other uses too is in decisions.ts. */
import type { CallGroup } from '../../policies/profile.js'
import type { CallName } from './calls.js'

export const groups: Record<CallGroup, readonly CallName[]> = {
  processes: ['fork', 'vfork', 'pidfd_open', 'setpriority', 'sched_setaffinity'],
  signals: ['kill', 'tkill', 'tgkill', 'pidfd_send_signal', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo'],
  names: [
    'mkdirat',
    'unlinkat',
    'renameat',
    'renameat2',
    'linkat',
    'symlinkat',
    'mkdir',
    'unlink',
    'rmdir',
    'rename',
    'link',
    'symlink',
  ],
  modes: ['fchmod', 'fchmodat', 'chmod'],
  times: ['utimensat', 'utime', 'utimes', 'futimesat'],
  watching: ['inotify_init1', 'inotify_add_watch', 'inotify_rm_watch', 'inotify_init'],
  sockets: ['socketpair', 'socket', 'connect'],
}
