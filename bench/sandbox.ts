/**
 * What a sandboxed action costs: `/bin/true` from Node, one launcher for each action, against Node's own spawn and against bubblewrap with the same
 * folders. An action is all that it takes: the look at the granted paths, the plan, the launch. Issue 4's rows for pooled workers, trapped
 * calls and the network have no figure, because there are none yet.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { parseProfile } from '../policies/profile.js'
import { findPlaces, grantedPaths, launch, planLaunch } from '../sandbox/index.js'
import type { Report } from './figure.js'

const rounds = 200
const inFlight = 4
const saturatedRounds = 3
const saturatedActions = 200

const profile = parseProfile('filesystem_policy: { read_only: [/usr, /bin, /lib, /lib64] }')
const action = { program: '/usr/bin/true', args: [] }

async function sandboxed(): Promise<void> {
  const places = await findPlaces(grantedPaths(profile, '/nowhere', action))
  const { exitCode } = await launch(planLaunch(profile, '/nowhere', action, places))
  if (exitCode !== 0) throw new Error(`/usr/bin/true ended with ${exitCode}`)
}

const folders = [
  '--ro-bind',
  '/usr',
  '/usr',
  ...['bin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
]
const bubble = ['--unshare-all', '--die-with-parent', ...folders, '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp']
const plain = () => spawned('/usr/bin/true', [])
const bubbled = () => spawned('bwrap', [...bubble, '/usr/bin/true'])

async function spawned(program: string, args: string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: '/usr/bin:/bin' } })
  child.stdin.end()
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`${program} ended with ${status}`)
}

export default async function bench(report: Report): Promise<void> {
  const hasBubble = spawnSync('bwrap', [...bubble, '/usr/bin/true']).status === 0
  if (!hasBubble)
    process.stderr.write(
      'No figure against bubblewrap: it is not installed (Debian: bubblewrap), or cannot run here.\n',
    )
  const peers = hasBubble ? [sandboxed, plain, bubbled] : [sandboxed, plain]

  const [ours = 0, node = 0, theirs = 0] = await mediansOf(peers)
  const single = { value: ours, unit: 'ms' }
  report({ metric: 'one-shot action /bin/true, against Node spawn', ...single, baseline: node, ratio: ours / node })
  if (hasBubble)
    report({
      metric: 'one-shot action /bin/true, against bubblewrap',
      ...single,
      baseline: theirs,
      ratio: ours / theirs,
      aim: '≤ 0.75',
      ok: ours / theirs <= 0.75,
    })

  const [all = 0, nodes = 0, bubbles = 0] = await saturated(peers)
  const many = { value: all, unit: '1/s' }
  report({ metric: 'one-shot actions, saturated, against Node spawn', ...many, baseline: nodes, ratio: all / nodes })
  if (hasBubble)
    report({
      metric: 'one-shot actions, saturated, against bubblewrap',
      ...many,
      baseline: bubbles,
      ratio: all / bubbles,
      aim: '≥ 2.5',
      ok: all / bubbles >= 2.5,
    })
}

/** Milliseconds of each, one at a time. Taken in turns, so that what else the machine does falls on all. */
async function mediansOf(peers: readonly (() => Promise<void>)[]): Promise<number[]> {
  const times = peers.map((): number[] => [])
  for (let round = -10; round < rounds; round += 1)
    for (const [index, peer] of peers.entries()) {
      const begun = performance.now()
      await peer()
      if (round >= 0) times[index]?.push(performance.now() - begun)
    }
  return times.map((each) => each.sort((one, other) => one - other)[Math.floor(each.length / 2)] ?? 0)
}

/** How many of each a second, several at a time; the best round. */
async function saturated(peers: readonly (() => Promise<void>)[]): Promise<number[]> {
  const best = peers.map(() => 0)
  for (let round = 0; round < saturatedRounds; round += 1)
    for (const [index, peer] of peers.entries()) {
      let left = saturatedActions
      const lane = async () => {
        while (left-- > 0) await peer()
      }
      const begun = performance.now()
      await Promise.all(Array.from({ length: inFlight }, lane))
      best[index] = Math.max(best[index] ?? 0, (1000 * saturatedActions) / (performance.now() - begun))
    }
  return best
}
