/**
 * Where the kernel may count the processes and the memory of an action as a whole: control groups of our own, of the second version or the first. The
 * launcher makes one for each worker of a pool in the folders that are opened here, and removes them with the pool (launcher/group.h).
 *
 *     const groups = await openGroups()   // { pids: '/sys/fs/cgroup/pids/clawmesh-…', memory: undefined }
 *
 * What holds:
 *   1. A group that somebody else made is never written into, whoever we are, unless its maker has left it to us. Of the second version, that is one
 *      marked so (systemd's `Delegate=`). Of the first, which knows no such mark, only the top of a hierarchy will do, as far as this process can see it:
 *      a process that was put into a group of it stays there, and so does what it starts.
 *   2. What was once found in this process is found again, or nothing is run: an action never goes by less than those before it, and than was said.
 *   3. Where there is none, an action is held by the limits of each process, and looked at from outside. That is said (`groupsInWords`), not hidden.
 */
import { execFile } from 'node:child_process'
import { access, constants, mkdir, readdir, readFile, readlink, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'
import { launcherPath } from './launcher.js'

export const controllers = ['pids', 'memory'] as const
export type Controller = (typeof controllers)[number]

/** For each of what is counted, a folder that groups can be made in, and that was made for this process. */
export type Groups = Readonly<Partial<Record<Controller, string>>>

/** A mounted hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2
  /** Of the first version; the second says itself what it can do. */
  readonly controllers: readonly string[]
  /** The group that this process is in, as a folder. */
  readonly group: string
  /** Nothing above that group can be seen from here. */
  readonly isTop: boolean
}

/** Pure. @param mounts /proc/self/mountinfo  @param groups /proc/self/cgroup */
export function hierarchiesOf(mounts: string, groups: string): Hierarchy[] {
  const memberships = groups
    .split('\n')
    .map((line) => /^(\d+):([^:]*):(\/.*)$/.exec(line))
    .flatMap((found) => (found ? [{ of: (found[2] ?? '').split(','), path: found[3] ?? '/' }] : []))
  return mounts.split('\n').flatMap((line) => {
    const [fields = '', kind = ''] = line.split(' - ')
    const [, , , root = '', at = ''] = fields.split(' ')
    const [type, , options = ''] = kind.split(' ')
    if (type !== 'cgroup' && type !== 'cgroup2') return []
    const version = type === 'cgroup2' ? 2 : 1
    const named = version === 2 ? [''] : options.split(',')
    const own = memberships.find(({ of }) => of.some((each) => named.includes(each)))
    // A hierarchy of which we see another part than the one we are in is none that we know our place in.
    if (!own || root !== '/' || own.path.split('/').includes('..')) return []
    const found = own.of.filter((each) => each !== '')
    return [{ version, controllers: found, group: resolve(at, `.${own.path}`), isTop: own.path === '/' }]
  })
}

/** In a group that is left to us, where the processes go that were in it: one that has groups below it may hold none itself. */
const leaf = 'clawmesh'
const prefix = 'clawmesh-'

let opened = 0
let promised: readonly Controller[] = []

/**
 * Folders of this moment's own, in each hierarchy in which that can be. What processes that are gone have left there is removed.
 * @throws ClawmeshError SANDBOX_FAILED where something cannot be had any more
 */
export async function openGroups(): Promise<Groups> {
  const [mounts, memberships] = await Promise.all(
    ['mountinfo', 'cgroup'].map((name) => readFile(`/proc/self/${name}`, 'utf8').catch(() => '')),
  )
  const hierarchies = hierarchiesOf(mounts ?? '', memberships ?? '')
  // Before anything is awaited: several may be opened at a time.
  const number = ++opened
  const name = `${prefix}${await ownName()}-${number}`
  const groups: Partial<Record<Controller, string>> = {}
  for (const hierarchy of hierarchies.sort((one, other) => other.version - one.version)) {
    const above = await usable(hierarchy).catch(() => undefined)
    const wanted = controllers.filter((each) => !groups[each] && above?.controllers.includes(each))
    if (!above || wanted.length === 0) continue
    await removeStale(above.folder)
    const folder = join(above.folder, name)
    try {
      await mkdir(folder)
      if (hierarchy.version === 2) await writeFile(join(folder, 'cgroup.subtree_control'), enabling(wanted))
      for (const each of wanted) groups[each] = folder
    } catch {
      await rmdir(folder).catch(() => undefined)
    }
  }
  try {
    promised = keptPromise(promised, groups)
  } catch (error) {
    await closeGroups(groups)
    throw error
  }
  return groups
}

/** What is promised from now on. Pure. Throws SANDBOX_FAILED where it would be less than before. */
export function keptPromise(before: readonly Controller[], groups: Groups): readonly Controller[] {
  const lost = before.filter((each) => groups[each] === undefined)
  if (lost.length === 0) return controllers.filter((each) => groups[each] !== undefined)
  throw new ClawmeshError(
    'SANDBOX_FAILED',
    `A control group that limits ${lost.join(' and ')} could be had when this node started, and cannot any more, so nothing was run.`,
    { hint: 'See who has changed the control groups of this machine; start the node again to go on without.' },
  )
}

/** As the launcher takes them. */
export const groupWords = (groups: Groups): string[] =>
  controllers.flatMap((each) => (groups[each] === undefined ? [] : [each, groups[each]]))

/** Where nothing was started in them. */
export async function closeGroups(groups: Groups): Promise<void> {
  for (const folder of new Set(Object.values(groups))) await rmdir(folder).catch(() => undefined)
}

const saying = {
  pids: { it: "the number of an action's processes", otherwise: 'is held by a limit of its user namespace' },
  memory: { it: 'the memory of an action as a whole', otherwise: 'is looked at from outside, five times a second' },
}

/** What holds an action as a whole, in one line. */
export function groupsInWords(groups: Groups): string {
  const inGroup = controllers.filter((each) => groups[each] !== undefined)
  const others = controllers.filter((each) => groups[each] === undefined)
  const held = inGroup.map((each) => saying[each].it).join(' and ')
  const instead = others.map((each) => `${saying[each].it} ${saying[each].otherwise}`).join(', ')
  if (others.length === 0) return `a control group limits ${held}`
  if (inGroup.length === 0) return `no control group can be had here: ${instead}`
  return `a control group limits ${held}; ${instead}`
}

/** The folder to make ours in, and what can be limited there; undefined where it is another's. */
async function usable({
  version,
  controllers: own,
  group,
  isTop,
}: Hierarchy): Promise<{ folder: string; controllers: readonly string[] } | undefined> {
  if (version === 1) {
    if (!isTop) return undefined
    await access(group, constants.W_OK)
    return { folder: group, controllers: own }
  }
  const folder = (await isDelegated(group)) ? group : basename(group) === leaf ? dirname(group) : undefined
  if (folder === undefined || (folder !== group && !(await isDelegated(folder)))) return undefined
  const offered = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).trim().split(' ')
  const wanted = controllers.filter((each) => offered.includes(each))
  if (wanted.length === 0) return undefined
  await enable(folder, wanted)
  return { folder, controllers: wanted }
}

const enabling = (wanted: readonly Controller[]) => wanted.map((each) => `+${each}`).join(' ')

const isDelegated = (folder: string) =>
  new Promise<boolean>((settle) => {
    execFile(launcherPath, ['--delegated', folder], (error) => settle(error === null))
  })

const mostMoves = 50
const mostTries = 5

/** Refused by the kernel while a process is in the group itself: one may have been started there meanwhile. */
async function enable(folder: string, wanted: readonly Controller[]): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    await moveAside(folder)
    try {
      return await writeFile(join(folder, 'cgroup.subtree_control'), enabling(wanted))
    } catch (error) {
      if (tries === mostTries) throw error
    }
  }
}

/** All of a service that this process is part of. One that is just being started is found the next time round. */
async function moveAside(folder: string): Promise<void> {
  await mkdir(join(folder, leaf)).catch(() => undefined)
  for (let times = 0; times < mostMoves; times += 1) {
    const members = (await readFile(join(folder, 'cgroup.procs'), 'utf8')).split('\n').filter((each) => each !== '')
    if (members.length === 0) return
    // One that has ended meanwhile is nowhere any more.
    for (const pid of members) await writeFile(join(folder, leaf, 'cgroup.procs'), pid).catch(() => undefined)
  }
}

/** Of this process and of no other that ever was since the machine was started; of another namespace of processes, which says nothing to us, too. */
async function ownName(): Promise<string> {
  const namespace = (await readlink('/proc/self/ns/pid')).replace(/\D/g, '')
  return [namespace, process.pid, await startOf(process.pid)].join('-')
}

/** When a process was started, in the kernel's count; undefined where it is gone. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

async function removeStale(folder: string): Promise<void> {
  const namespace = (await readlink('/proc/self/ns/pid')).replace(/\D/g, '')
  for (const name of await readdir(folder)) {
    const [, of, pid, start] = /^clawmesh-(\d+)-(\d+)-(\d+)-\d+$/.exec(name) ?? []
    if (of !== namespace || (await startOf(Number(pid))) === start) continue
    const below = await readdir(join(folder, name)).catch(() => [])
    for (const each of below.filter((one) => /^\d+$/.test(one)))
      await rmdir(join(folder, name, each)).catch(() => undefined)
    await rmdir(join(folder, name)).catch(() => undefined)
  }
}
