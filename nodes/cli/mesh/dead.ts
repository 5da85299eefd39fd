import { z } from 'zod'
import type { DeadLetter } from '../../../mesh/dead/letter.js'
import { replayOf } from '../../../mesh/dead/replay.js'
import { DeadStream, type Kept } from '../../../mesh/dead/stream.js'
import { type MeshNode, message } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Role } from '../../../policies/roles.js'
import { type LiveGround, notRunning, openLiveGround } from '../../authority/live.js'
import { joinAsGuest } from '../../member/guest.js'
import { type Command, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'
import { onGround } from '../on-ground.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'

const common: Command['options'] = { data: dataOption, json: jsonOption }

export const deadList: Command = {
  name: 'dead list',
  usage: '[--json]',
  help: 'Lists messages that could not be delivered and that nobody waits for: when, why, to whom, from where, and which node wrote that.',
  options: common,
  run: (_, values) =>
    withStream(values, async (stream) => {
      const { kept, unreadable } = await stream.list()
      const lines = kept.map(line)
      if (unreadable > 0)
        lines.push(`${unreadable} records do not read: no node of this mesh wrote them, or one of an earlier version.`)
      const letters = kept.map(({ letter: { request: _, ...rest } }) => told(rest))
      print(values, { letters, unreadable }, lines.join('\n') || 'There are no dead letters.')
    }),
}

export const deadShow: Command = {
  name: 'dead show',
  usage: 'ID [--json]',
  help: 'Shows one of them with what it says.',
  options: common,
  takes: 'id of a dead letter',
  run: async (given, values) => {
    const id = named(given)
    return withStream(values, async (stream) => {
      const found = await stream.find(id)
      const { letter } = found
      const said = letter.request
        ? `  says: ${written(letter.request.content)}`
        : `  what it says was not kept: ${letter.bytes} bytes`
      const fate = letter.begun ? 'its handler had been called' : 'nothing of it was done'
      const lines = [
        line(found),
        `  ${fate}; task ${letter.trace || 'none'}; its sender is ${letter.sender.roles.join(', ') || 'without a role'}`,
        said,
      ]
      print(values, { letter: told(letter) }, lines.join('\n'))
    })
  },
}

export const deadReplay: Command = {
  name: 'dead replay',
  usage: 'ID [--again] [--json]',
  help: 'Sends one of them once more, with the roles of its sender, and shows the answer; what was answered is no longer kept.',
  options: {
    ...common,
    again: { type: 'boolean', help: 'also one whose handler had been called: it may be done twice' },
  },
  takes: 'id of a dead letter',
  run: async (given, values) => {
    const id = named(given)
    return inMesh(values, async (stream, node, joinAs) => {
      const found = await stream.find(id)
      const reply = await replay({ node, joinAs }, found, values['again'] === true)
      await stream.drop(found)
      const { letter } = found
      print(values, { id: letter.id, reply }, `${letter.actor} answered dead letter ${letter.id}: ${written(reply)}`)
    })
  },
}

export const deadDrop: Command = {
  name: 'dead drop',
  usage: 'ID | --before AGE',
  help: 'Is done with one of them, or with all that are older than that. The audit trail says who dropped which.',
  options: { ...common, before: { type: 'string', value: 'AGE', help: 'for example 30d' } },
  takes: 'id of a dead letter',
  run: async (id, values) => {
    const before = text(values, 'before')
    if ((id === undefined) === (before === undefined))
      throw new ClawmeshError('USAGE', 'Say which dead letter, or --before when.', { hint: deadDrop.usage })
    const limit = before === undefined ? 0 : Date.now() - readDuration(before, 'before')
    return inMesh(values, async (stream, node) => {
      const found =
        before === undefined
          ? [await stream.find(named(id))]
          : (await stream.list()).kept.filter(({ letter }) => letter.at < limit)
      for (const each of found) {
        await node.audit.intend(eventOf('dead.dropped', each, {}))
        await stream.drop(each)
      }
      const ids = found.map(({ letter }) => letter.id)
      print(values, { ids }, ids.length === 1 ? `Dead letter ${ids[0]} is dropped.` : `${ids.length} are dropped.`)
    })
  },
}

const person = 'a person at the command line'

interface Replayer {
  /** Writes down what is done. */
  node: MeshNode
  joinAs: JoinAs
}

/** Resolves to the reply: it is asked, not told, so that it is known what came of it. */
async function replay({ node, joinAs }: Replayer, kept: Kept, again: boolean): Promise<unknown> {
  const { id, actor, message: name, request, trace, begun, sender, writer } = kept.letter
  if (!request)
    throw new ClawmeshError('USAGE', `What dead letter ${id} says was too large to be kept.`, {
      hint: 'Have its sender send it again.',
    })
  if (begun && !again)
    throw new ClawmeshError('USAGE', `The handler of dead letter ${id} had been called: what it did is not known.`, {
      hint: 'Look at what it should have done; --again sends it all the same.',
    })
  for (const certificate of [sender, writer]) {
    const objection = node.directory.objection({ certificate })
    if (objection) throw objection
  }
  const { roles, to } = replayOf(kept.letter, node.find(actor)?.certificate)
  const once = message(name, { request: z.unknown(), reply: z.unknown(), ...(to === 'members' ? {} : { to }) })
  const guest = await joinAs(roles)
  try {
    await node.audit.intend(eventOf('dead.replayed', kept, { outcome: null }))
    const reply = await guest.node.ref(actor).ask(once, request.content, { trace })
    await node.audit.record(eventOf('dead.replayed', kept, { outcome: 'answered' }))
    return reply
  } catch (error) {
    const { code, message: reason } = ClawmeshError.from(error)
    await node.audit.record(eventOf('dead.replayed', kept, { outcome: code, reason }))
    throw error
  } finally {
    await guest.end()
  }
}

const eventOf = (kind: 'dead.replayed' | 'dead.dropped', { letter }: Kept, more: Record<string, unknown>) => ({
  kind,
  trace: letter.trace,
  actor: person,
  facts: { ...factsOf(letter), ...more },
})

const factsOf = ({ id, actor, message, code, sender, writer }: DeadLetter) => ({
  id,
  actor,
  message,
  code,
  from: sender.name,
  by: writer.name,
})

/** Without the certificates, of which it says what is in them. */
const told = <T extends Omit<DeadLetter, 'request'>>({ sender, writer, ...letter }: T) => ({
  ...letter,
  from: sender.name,
  roles: sender.roles,
  by: writer.name,
})

/** As JSON; others may send what JSON does not know. */
const written = (value: unknown): string =>
  JSON.stringify(value ?? null, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each))

function named(id: string | undefined): string {
  if (id !== undefined) return id
  throw new ClawmeshError('USAGE', 'Which dead letter?', { hint: '`clawmesh dead list` has their ids.' })
}

const line = ({ letter }: Kept): string => {
  const { id, at, code, message: name, actor, sender, writer, reason } = letter
  const parties = `${name} to ${actor} from ${sender.name}, says ${writer.name}`
  return `${id}  ${new Date(at).toISOString()}  ${code}  ${parties}: ${reason}`
}

const withStream = (values: Values, use: (stream: DeadStream) => Promise<void>): Promise<number> =>
  onGround(values, (ground) => use(streamOf(ground)))

type JoinAs = (roles: readonly Role[]) => ReturnType<typeof joinAsGuest>

/** In a mesh that runs, with a node of one's own: what is done is on the trail. */
async function inMesh(
  values: Values,
  use: (stream: DeadStream, node: MeshNode, joinAs: JoinAs) => Promise<void>,
): Promise<number> {
  const data = dataFolder(values)
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  try {
    const { node, end } = await joinAsGuest(ground, data, ['supervisor'])
    try {
      await use(streamOf(ground), node, (roles) => joinAsGuest(ground, data, roles))
      return 0
    } finally {
      await end()
    }
  } finally {
    await ground.close()
  }
}

const streamOf = ({ transport, addresses, authority }: Pick<LiveGround, 'transport' | 'addresses' | 'authority'>) =>
  new DeadStream(transport.log(addresses.deadStream), authority)

function print(values: Values, object: object, words: string): void {
  process.stdout.write(values['json'] ? `${written({ ok: true, ...object })}\n` : `${printable(words)}\n`)
}
