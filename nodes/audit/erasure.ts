/**
 * The erasure of a person: what the mesh keeps of the tasks that are about them is removed, and last of all the key goes without which nobody reads what the
 * trail says of them.
 *
 * 1. That it is done, and by whom, is on the trail before any of it is: by the ids of the keys, which name nobody.
 * 2. The key goes last. Broken off anywhere before that, the name still finds all there is to do, and doing it again does the rest.
 * 3. Every other person has another key, and events keep their place in their chain: nothing else becomes unreadable.
 */
import { Opener } from '../../mesh/audit/opener.js'
import { type Fault, TrailReader } from '../../mesh/audit/reader.js'
import { DeadStream } from '../../mesh/dead/stream.js'
import type { ActorRef, MeshNode } from '../../mesh/index.js'
import { ForgetMail, officeName } from '../../mesh/mail/messages.js'
import { forgetMail } from '../../mesh/mail/serve.js'
import { openTasks } from '../../mesh/task/tasks.js'
import type { AppendLog } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { Book } from '../approvals/book.js'
import { approvalsName, ForgetTasks } from '../approvals/messages.js'
import type { LiveGround } from '../authority/live.js'

/** How long whoever keeps the questions may take to be seen. */
const lookMs = 6000
const tasksAtOnce = 1000

export interface ErasureOptions {
  ground: Pick<LiveGround, 'transport' | 'addresses' | 'authority'>
  /** The audit stream. */
  log: AppendLog
  /** Writes down that it is done. Its role is authority. */
  node: MeshNode
  /** A mesh runs on this ground: its desk keeps the questions. */
  isLive: boolean
  /** Who does it, and why. */
  by: string
  reason: string | undefined
}

export interface Erasure {
  /** The ids of the keys. */
  keys: string[]
  /** How many events of the trail are without their facts from now on. */
  events: number
  /** What was removed beside them, by ids. */
  tasks: string[]
  questions: string[]
  letters: string[]
  /** How many messages that were kept for an actor. */
  mail: number
  /** In words: what of those tasks is still kept, and where. */
  left: string[]
}

/** Throws NOT_FOUND for a name that nothing is kept under, AUDIT_UNAVAILABLE if it cannot be recorded or the keys cannot be used, UNREACHABLE if the desk is not seen. */
export async function eraseSubject(name: string, options: ErasureOptions): Promise<Erasure> {
  const { ground, node, by, reason } = options
  const { transport, addresses, authority } = ground
  const keys = authority.subjects.idsOf(name)
  if (keys.length === 0)
    throw new ClawmeshError(
      'NOT_FOUND',
      `Nothing is kept under the name "${name}": it has no key, or was erased before.`,
      {
        hint: '`clawmesh audit subjects` lists the names that have one.',
      },
    )
  const desk = options.isLive ? await deskOf(node) : undefined
  const { events, traces } = await eventsAbout(new Set(keys), options)
  const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
  const known = await tasks.list()
  const about = known.filter(({ id, facts }) => traces.has(id) || subjectOf(facts) === name)
  for (const { id } of about) traces.add(id)

  const facts = { keys, events, tasks: about.length, by, ...(reason === undefined ? {} : { reason }) }
  await node.audit.intend({ kind: 'subject.erased', trace: '', actor: by, facts })
  for (const { id } of about) await tasks.remove(id, { ok: false, answer: 'Whom it is about was erased.' })
  const questions = await (desk ? askDesk(desk, traces) : forgetQuestions(traces, options))
  const mail = await (desk ? askOffice(node, traces) : forgetKept(traces, options))
  const letters = await dropLetters(traces, options)
  authority.subjects.erase(name, node.now())
  const damaged = known.filter(({ state }) => state === 'damaged').length
  const left = [...(damaged > 0 ? [damagedLeft(damaged)] : []), ...alwaysLeft]
  return { keys, events, tasks: about.map(({ id }) => id), questions, letters, mail, left }
}

/** A trail that is broken elsewhere is no reason to keep a person's content: `audit verify` says that it is. */
async function eventsAbout(keys: ReadonlySet<string>, { ground: { authority }, log }: ErasureOptions) {
  const faults: Fault[] = []
  const reader = new TrailReader(authority.root.publicKey, faults)
  const opener = new Opener(authority.auditor)
  const traces = new Set<string>()
  let events = 0
  for await (const message of log.read())
    for (const record of reader.take([message]))
      for (const { subject, trace } of opened(opener, record)) {
        if (subject === undefined || !keys.has(subject)) continue
        events += 1
        traces.add(trace)
      }
  return { events, traces }
}

function opened(opener: Opener, record: Parameters<Opener['open']>[0]) {
  try {
    return opener.open(record)
  } catch {
    return []
  }
}

/** Who keeps the questions of a mesh that runs. */
async function deskOf(node: MeshNode): Promise<ActorRef> {
  if (await node.directory.wait(() => node.directory.locate(approvalsName), lookMs)) return node.ref(approvalsName)
  throw new ClawmeshError('UNREACHABLE', 'Whoever keeps the questions to people in this mesh is not seen.', {
    hint: 'Nothing was erased. Try again when the mesh is up, or after it has ended.',
  })
}

async function askDesk(desk: ActorRef, traces: ReadonlySet<string>): Promise<string[]> {
  const [all, ids]: [string[], string[]] = [[...traces], []]
  while (all.length > 0) ids.push(...(await desk.ask(ForgetTasks, { tasks: all.splice(0, tasksAtOnce) })))
  return ids
}

async function askOffice(node: MeshNode, traces: ReadonlySet<string>): Promise<number> {
  const all = [...traces]
  let count = 0
  while (all.length > 0) count += await node.ref(officeName).ask(ForgetMail, { tasks: all.splice(0, tasksAtOnce) })
  return count
}

async function forgetKept(traces: ReadonlySet<string>, { ground }: ErasureOptions): Promise<number> {
  const { transport, addresses, authority } = ground
  return forgetMail({ bucket: await transport.bucket(addresses.mail), secret: authority.tasksKey }, traces)
}

/** Of a mesh that does not run. */
async function forgetQuestions(traces: ReadonlySet<string>, { ground }: ErasureOptions): Promise<string[]> {
  const { transport, addresses, authority } = ground
  const book = new Book(await transport.bucket(addresses.approvals), authority.tasksKey)
  const ids = (await book.read()).filter(({ question }) => traces.has(question.task)).map(({ question }) => question.id)
  for (const id of ids) await book.forget(id)
  return ids
}

async function dropLetters(traces: ReadonlySet<string>, { ground }: ErasureOptions): Promise<string[]> {
  const { transport, addresses, authority } = ground
  const stream = new DeadStream(transport.log(addresses.deadStream), authority)
  const about = (await stream.list()).kept.filter(({ letter }) => traces.has(letter.trace))
  for (const letter of about) await stream.drop(letter)
  return about.map(({ letter }) => letter.id)
}

const subjectOf = (facts: unknown): unknown =>
  typeof facts === 'object' && facts !== null && 'subject' in facts ? facts.subject : undefined

const damagedLeft = (count: number) =>
  `${count} task${count === 1 ? '' : 's'} whose journal does not read: nobody can say whom it is about`

/** What no key of ours reaches. The table of docs/audit.md has the same. */
export const alwaysLeft: readonly string[] = [
  'what was handed on before: exports, collectors, proofs, and whoever reads them (each exported event names its key)',
  'backups of the data folder, and what the file system or the disk keeps of files that are gone',
  'files of the workspaces, and what actions wrote there',
  "agents' memories, logs of the nodes, and what running processes hold in memory until they are started again",
  'what was recorded without a person: before there were keys for persons, and what belongs to no task',
]
