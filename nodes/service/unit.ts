/**
 * The unit by which systemd keeps a service running. Hardened as far as the sandbox of an action allows: that makes namespaces, mounts and a /proc of its
 * own, and what would keep it from these would have every action refused.
 */
import type { ServicePlan } from './plan.js'

/** Room to drain the nodes, to verify the trail and to add a checkpoint. */
const stopSeconds = 60

export function unitOf({ name, description, scope, account, command, environment, data }: ServicePlan): string {
  const isSystem = scope === 'system'
  return `${[
    `# ${name}.service, written by \`clawmesh service install\`. Do not edit: install it again.`,
    '[Unit]',
    `Description=${plain(description)}`,
    ...(isSystem ? ['Wants=network-online.target', 'After=network-online.target'] : []),
    '# However often it has to: whoever waits for this mesh waits for it to come back.',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${command.map(word).join(' ')}`,
    ...Object.entries(environment).map(([key, value]) => `Environment=${quoted(`${key}=${value}`)}`),
    ...(isSystem ? [`User=${account}`] : []),
    'Restart=always',
    'RestartSec=2',
    '# 2: it was told what cannot be. 3: it may not, since it was revoked. Trying again changes neither.',
    'RestartPreventExitStatus=2 3',
    '# The command drains its nodes itself; what is left after that is ended.',
    'KillMode=mixed',
    `TimeoutStopSec=${stopSeconds}`,
    '# It starts again whatever of it the kernel had to end.',
    'OOMPolicy=continue',
    '# So that the kernel counts the processes and the memory of each action as a whole, in groups below that of this service.',
    'Delegate=pids memory',
    'LimitNOFILE=65536',
    'UMask=0077',
    '',
    '# Hardening. Left out, because the sandbox of each action makes namespaces, mounts and a /proc of its own: RestrictNamespaces, PrivateUsers,',
    '# ProtectProc, ProcSubset, ProtectKernelTunables, ProtectKernelLogs, ProtectControlGroups, ProtectHostname, RootDirectory. Left out, because V8',
    '# compiles: MemoryDenyWriteExecute. Left out, because it takes openat2 away, by which the sandbox opens paths: RestrictSUIDSGID. Left out, because of',
    '# GPUs: PrivateDevices, ProtectClock.',
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    'SystemCallArchitectures=native',
    'SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap',
    'SystemCallErrorNumber=EPERM',
    'KeyringMode=private',
    ...(isSystem ? systemOnly(account, data) : []),
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
  ].join('\n')}\n`
}

/** What a person's own service manager has no right to do, or needs no telling. */
const systemOnly = (account: string, data: string): string[] => [
  'ProtectSystem=full',
  `ReadWritePaths=${quoted(`-${data}`)}`,
  // Root without its capabilities could not even read the files of others that it is asked to.
  ...(account === 'root' ? [] : ['CapabilityBoundingSet=', 'AmbientCapabilities=']),
]

/** A word of a command line: systemd takes out quotes, and sets in variables and what follows a percent sign. */
const word = (text: string): string => quoted(text).replaceAll('$', '$$$$')

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`

const plain = (text: string): string => text.replaceAll('%', '%%')
