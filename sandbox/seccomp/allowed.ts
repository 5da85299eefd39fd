/** The system calls that every action may make whatever their arguments are. Those that depend on them are in decisions.ts; every other call fails. */
import type { CallName } from './calls.js'

// biome-ignore format: a list that is read by its groups
export const allowedCalls: readonly CallName[] = [
  // Memory; mmap is looked into
  'brk', 'munmap', 'mprotect', 'mremap', 'madvise', 'mincore', 'msync', 'mlock', 'munlock', 'membarrier',
  'rt_sigreturn',

  // Files that are open
  'read', 'write', 'readv', 'writev', 'pread64', 'pwrite64', 'preadv', 'pwritev', 'preadv2', 'pwritev2', 'lseek',
  'close', 'close_range', 'dup', 'dup3', 'fcntl', 'flock', 'fsync', 'fdatasync', 'ftruncate', 'fallocate',
  'fadvise64', 'sendfile', 'splice', 'tee', 'copy_file_range', 'sync_file_range', 'readahead', 'fstat', 'fstatfs',
  'getdents64', 'pipe2', 'fgetxattr', 'flistxattr',

  // Files by name: Landlock and the mounts decide which
  'faccessat', 'faccessat2', 'newfstatat', 'statx', 'statfs', 'readlinkat', 'getcwd', 'chdir', 'fchdir', 'truncate',
  'mkdirat', 'unlinkat', 'renameat', 'renameat2', 'linkat', 'symlinkat', 'utimensat', 'umask', 'getxattr',
  'lgetxattr', 'listxattr', 'llistxattr', 'inotify_init1', 'inotify_add_watch', 'inotify_rm_watch',

  // Waiting
  'ppoll', 'pselect6', 'epoll_create1', 'epoll_ctl', 'epoll_pwait', 'epoll_pwait2', 'eventfd2', 'signalfd4',
  'timerfd_create', 'timerfd_settime', 'timerfd_gettime', 'nanosleep', 'clock_nanosleep', 'futex', 'futex_waitv',
  'set_robust_list', 'get_robust_list', 'restart_syscall',

  // Time and chance
  'clock_gettime', 'clock_getres', 'gettimeofday', 'times', 'getitimer', 'setitimer', 'timer_create', 'timer_settime',
  'timer_gettime', 'timer_getoverrun', 'timer_delete', 'getrandom',

  // Processes of its own; clone and prctl are looked into
  'execve', 'exit', 'exit_group', 'wait4', 'waitid', 'kill', 'tkill', 'tgkill', 'rt_sigaction', 'rt_sigprocmask',
  'rt_sigpending', 'rt_sigtimedwait', 'rt_sigsuspend', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'sigaltstack',
  'set_tid_address', 'sched_yield', 'pidfd_send_signal', 'pidfd_open', 'setpgid', 'getpgid', 'setsid', 'getsid',
  'getpid', 'getppid', 'gettid', 'getuid', 'geteuid', 'getgid', 'getegid', 'getresuid', 'getresgid', 'getgroups',
  'capget', 'getrusage', 'getrlimit', 'setrlimit', 'getpriority', 'setpriority', 'ioprio_get', 'sched_getaffinity',
  'sched_setaffinity', 'sched_getparam', 'sched_getscheduler', 'sched_get_priority_max', 'sched_get_priority_min',
  'sched_getattr', 'getcpu', 'rseq', 'uname', 'sysinfo',

  // The streams it was given, and connected pairs; socketpair itself is looked into
  'sendto', 'recvfrom', 'sendmsg', 'recvmsg', 'sendmmsg', 'recvmmsg', 'shutdown', 'getsockname', 'getpeername',
  'getsockopt',

  // Of x86_64: the older names of the same things
  'arch_prctl', 'stat', 'lstat', 'poll', 'access', 'pipe', 'select', 'dup2', 'pause', 'alarm', 'getdents', 'rename',
  'mkdir', 'rmdir', 'link', 'unlink', 'symlink', 'readlink', 'utime', 'utimes', 'futimesat', 'getpgrp', 'time',
  'fork', 'vfork', 'epoll_create', 'epoll_wait', 'eventfd', 'signalfd', 'inotify_init',
]
