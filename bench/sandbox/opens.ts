/**
 * What it costs that opens are held: the same programs in the same sandbox, once under a policy that lets every file be asked for, so that each open is looked
 * at, and once under one that does not, so that Landlock and the mounts alone decide. Nobody is asked anything: what they open is granted, or not there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { installation } from '../../mesh/installation.js'
import { parseProfile } from '../../policies/profile.js'
import { findPlaces, grantedPaths, launch, Opens, type Pool, planLaunch } from '../../sandbox/index.js'

export interface Compared {
  readonly metric: string
  /** Medians, both in the unit. */
  readonly held: number
  readonly unheld: number
  readonly unit: 'ns' | 'ms'
  readonly most: number
}

const rounds = 15
const opensAtOnce = 4000
const files = 1500

const granted =
  'filesystem_policy: { read_only: [., /usr, /bin, /lib, /lib64, /etc] }\nlimits: { wall_ms: 60000, processes: 64, memory_mb: 2048 }'
const profiles = { held: parseProfile(`${granted}\nask: [{ read: / }, { write: / }]`), unheld: parseProfile(granted) }
type Way = keyof typeof profiles

export async function comparedOpens(pool: Pool): Promise<Compared[]> {
  // Not in /tmp, which is another one in each sandbox.
  const workspace = realpathSync(mkdtempSync('/var/tmp/clawmesh-bench-'))
  try {
    const open = join(workspace, 'open')
    execFileSync('cc', ['-O2', '-static', '-o', open, join(installation, 'bench', 'sandbox', 'open.c')])
    const path = join(workspace, 'granted')
    writeFileSync(path, 'x')
    for (let folder = 0; folder < files / 50; folder += 1) {
      mkdirSync(join(workspace, 'tree', `${folder}`), { recursive: true })
      for (let file = 0; file < 50; file += 1)
        writeFileSync(join(workspace, 'tree', `${folder}`, `${file}.txt`), `line ${file}\n`.repeat(100))
    }
    await committed(workspace)
    const node = realpathSync(process.execPath)
    const figures = [
      {
        metric: 'an open and close, trapped against untrapped',
        most: 5,
        unit: 'ns',
        program: open,
        args: [path, `${opensAtOnce}`],
      },
      {
        metric: 'Python that imports json, held against Landlock alone',
        most: 1.15,
        program: '/usr/bin/python3',
        args: ['-c', 'import json, re, argparse'],
      },
      {
        metric: 'git status, held against Landlock alone',
        most: 1.15,
        program: '/usr/bin/git',
        args: ['-c', 'safe.directory=*', '--no-optional-locks', 'status'],
      },
      { metric: 'the start of Node, held against Landlock alone', most: 1.15, program: node, args: ['-e', '0'] },
      {
        metric: `grep -r over ${files} files, held against Landlock alone`,
        most: 2.5,
        program: '/usr/bin/grep',
        args: ['-r', 'nowhere', 'tree'],
      },
    ] as const
    const compared: Compared[] = []
    for (const { metric, most, program, args, ...given } of figures) {
      if (!existsSync(program)) {
        process.stderr.write(`No figure of ${metric}: there is no ${program} here.\n`)
        continue
      }
      const unit = 'unit' in given ? given.unit : 'ms'
      const taken: Record<Way, number[]> = { held: [], unheld: [] }
      for (let round = -2; round < rounds; round += 1)
        for (const way of ['held', 'unheld'] as const) {
          const value = await took(way, workspace, realpathSync(program), args, unit, pool)
          if (round >= 0) taken[way].push(value)
        }
      compared.push({ metric, most, unit, held: median(taken.held), unheld: median(taken.unheld) })
    }
    return compared
  } finally {
    rmSync(workspace, { recursive: true, force: true })
  }
}

/** The index is older than a second: of files that are as new as it is, Git would read each at every look. */
async function committed(folder: string): Promise<void> {
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'user.name=Anna', '-c', 'user.email=anna@example.com', ...args], { cwd: folder })
  git('init', '-q')
  // Started by root, an action has another id, and so has all that is its own.
  git('config', 'core.checkStat', 'minimal')
  git('config', 'core.trustctime', 'false')
  git('add', '.')
  git('commit', '-q', '-m', 'All of it')
  await setTimeout(1100)
  git('update-index', '--refresh', '--force-write-index')
  git('status')
}

/** From the moment that the action may run to its end, by the sandbox's own clock; or what the program itself measured. */
async function took(
  way: Way,
  workspace: string,
  program: string,
  args: readonly string[],
  unit: 'ns' | 'ms',
  pool: Pool,
) {
  const profile = profiles[way]
  const action = { program, args, execute: [program] }
  const places = await findPlaces(grantedPaths(profile, workspace, action))
  const plan = planLaunch(profile, workspace, action, places)
  const ask = async () => Promise.reject(new Error('nobody is to be asked'))
  const opens = new Opens({ profile, workspace, mounts: plan.mounts, pool, ask })
  const { exitCode, stdout, stderr, wallMs } = await launch(plan, { pool, opens })
  if (exitCode !== 0 && !(program.endsWith('grep') && exitCode === 1))
    throw new Error(`${program} ended with ${exitCode}: ${stderr}`)
  return unit === 'ns' ? Number(stdout) : wallMs
}

const median = (values: number[]) => values.sort((one, other) => one - other)[values.length >> 1] ?? 0
