/**
 * The service manager of this machine: systemd or launchd, the person's own or the machine's. All that is done to it is a command line that a person could
 * type, so that what went wrong can be looked at.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { ClawmeshError } from '../../policies/errors.js'
import type { Scope, ServicePlan } from './plan.js'
import { labelOf, logOf, plistOf } from './plist.js'
import { unitOf } from './unit.js'

export interface ServiceState {
  /** Whether it is started with the machine, or with the person's session. */
  enabled: boolean
  running: boolean
  /** In the manager's own words. */
  state: string
  pid: number | null
  /** How often it was started again since it was last started by somebody; null where the manager does not count. */
  restarts: number | null
}

export interface ServiceKeeper {
  /** Where the file for it is. */
  fileOf(name: string): string
  textOf(plan: ServicePlan): string
  /** Writes the file, and has the service started now and with each start of the machine. What should be known of that, in words. */
  install(plan: ServicePlan): string[]
  state(name: string): ServiceState
  /** Calls back with each line that it said; resolves to the exit status. */
  logs(name: string, lines: number, follow: boolean, say: (line: string) => void): Promise<number>
  uninstall(name: string): void
}

export interface KeeperGround {
  platform: NodeJS.Platform
  scope: Scope
  home: string
  /** Where a person's own units are: $XDG_CONFIG_HOME. */
  configHome: string
  account: string
  uid: number
}

export function serviceKeeper(ground: KeeperGround): ServiceKeeper {
  if (ground.platform === 'linux') return systemd(ground)
  if (ground.platform === 'darwin') return launchd(ground)
  throw new ClawmeshError('UNREACHABLE', `clawmesh knows no service manager of ${ground.platform}.`, {
    hint: 'Have `clawmesh up --data DIR` started by what starts services there.',
  })
}

function systemd({ scope, configHome, account }: KeeperGround): ServiceKeeper {
  const own = scope === 'user' ? ['--user'] : []
  const systemctl = (...args: string[]) => told('systemctl', [...own, ...args])
  const folder = scope === 'user' ? join(configHome, 'systemd', 'user') : '/etc/systemd/system'
  const fileOf = (name: string) => join(folder, `${name}.service`)
  return {
    fileOf,
    textOf: unitOf,
    install: (plan) => {
      // A manager that does not run would take the file and start nothing: that is found out before anything is written.
      systemctl('show', '--property=Version')
      place(fileOf(plan.name), unitOf(plan))
      systemctl('daemon-reload')
      systemctl('enable', plan.name)
      systemctl('restart', plan.name)
      return scope === 'user' ? linger(account) : []
    },
    state: (name) => {
      const said = systemctl(
        'show',
        `${name}.service`,
        '--property=ActiveState,SubState,MainPID,NRestarts,UnitFileState',
      )
      const value = Object.fromEntries(said.split('\n').map((line) => line.split(/=(.*)/s, 2))) as Record<
        string,
        string
      >
      const pid = Number(value['MainPID'] ?? 0)
      return {
        enabled: value['UnitFileState'] === 'enabled',
        running: value['ActiveState'] === 'active',
        state: `${value['ActiveState']} (${value['SubState']})`,
        pid: pid > 0 ? pid : null,
        restarts: Number(value['NRestarts'] ?? 0),
      }
    },
    logs: (name, lines, follow, say) => {
      const what = [...own, '--unit', name, '--lines', String(lines), '--no-pager', ...(follow ? ['-f'] : [])]
      return shown('journalctl', what, say)
    },
    uninstall: (name) => {
      systemctl('disable', '--now', name)
      rmSync(fileOf(name), { force: true })
      systemctl('daemon-reload')
    },
  }
}

/** Without it, a person's services end when they log out, and start when they log in. */
function linger(account: string): string[] {
  const { status, error } = spawnSync('loginctl', ['enable-linger', account], { stdio: 'ignore' })
  if (!error && status === 0) return []
  return [
    `It runs while ${account} is logged in, and starts at the next log-in. To have it start with the machine, type: sudo loginctl enable-linger ${account}`,
  ]
}

function launchd({ scope, home, uid }: KeeperGround): ServiceKeeper {
  const domain = scope === 'user' ? `gui/${uid}` : 'system'
  const folder = scope === 'user' ? join(home, 'Library', 'LaunchAgents') : '/Library/LaunchDaemons'
  const fileOf = (name: string) => join(folder, `${labelOf(name)}.plist`)
  const isLoaded = (name: string) => spawnSync('launchctl', ['print', `${domain}/${labelOf(name)}`]).status === 0
  const unload = (name: string) => isLoaded(name) && told('launchctl', ['bootout', `${domain}/${labelOf(name)}`])
  return {
    fileOf,
    textOf: plistOf,
    install: (plan) => {
      unload(plan.name)
      place(fileOf(plan.name), plistOf(plan))
      told('launchctl', ['bootstrap', domain, fileOf(plan.name)])
      return []
    },
    state: (name) => {
      const { status, stdout } = spawnSync('launchctl', ['print', `${domain}/${labelOf(name)}`], { encoding: 'utf8' })
      const pid = Number(/^\s*pid = (\d+)$/m.exec(stdout ?? '')?.[1] ?? 0)
      return {
        enabled: status === 0,
        running: pid > 0,
        state: /^\s*state = (.+)$/m.exec(stdout ?? '')?.[1] ?? 'not loaded',
        pid: pid > 0 ? pid : null,
        restarts: null,
      }
    },
    logs: (name, lines, follow, say) => {
      const [, data = ''] =
        /<string>--data<\/string>\s*<string>([^<]*)<\/string>/.exec(readFileSync(fileOf(name), 'utf8')) ?? []
      return shown('tail', ['-n', String(lines), ...(follow ? ['-F'] : []), logOf(data)], say)
    },
    uninstall: (name) => {
      unload(name)
      rmSync(fileOf(name), { force: true })
    },
  }
}

/** Whole or not at all, readable by the manager and by whoever looks after the machine: there is no secret in it. */
function place(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    if (existsSync(file) && readFileSync(file, 'utf8') === text) return
    writeFileSync(file, text, { mode: 0o644 })
  } catch (cause) {
    throw new ClawmeshError('DENIED', `${file} cannot be written: ${(cause as Error).message}.`, {
      hint: 'A service of the whole machine is installed by root; `--scope user` installs one of your own.',
      cause,
    })
  }
}

function told(program: string, args: string[]): string {
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (!error && status === 0) return stdout
  const why = error ? error.message : stderr.trim().split('\n').at(-1)
  throw new ClawmeshError('UNREACHABLE', `\`${program} ${args.join(' ')}\` failed: ${why}.`, {
    hint: 'See that the service manager runs here (in most containers it does not). `clawmesh service install --dry-run` prints what it would be given.',
  })
}

function shown(program: string, args: string[], say: (line: string) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: child.stdout }).on('line', say)
    // Ctrl-C reaches it as it reaches us: it ends, and so do we.
    process.on('SIGINT', () => undefined)
    child.once('error', (cause) =>
      reject(new ClawmeshError('UNREACHABLE', `${program} cannot be run: ${cause.message}.`, { cause })),
    )
    child.once('close', (status) => resolve(status === null ? 0 : status))
  })
}
