/** `clawmesh audit erase` and `audit subjects`: whom recorded content is about, and how it is erased. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openAuthority } from '../../../mesh/seal/authority.js'
import type { AppendLog } from '../../../mesh/transport/transport.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Erasure, eraseSubject } from '../../audit/erasure.js'
import { openLiveSource } from '../../audit/source.js'
import { type LiveGround, openLiveGround } from '../../authority/live.js'
import { readConfig } from '../../config.js'
import { dataPaths, openDataFolder } from '../../data-folder.js'
import { openGround } from '../../ground.js'
import { joinAsGuest } from '../../member/guest.js'
import { personHere } from '../approve/inbox.js'
import { type Command, text, type Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { stopOnSignal } from '../stop.js'
import { isTerminal, progress, question } from '../terminal.js'

export const auditErase: Command = {
  name: 'audit erase',
  usage: 'SUBJECT [--reason TEXT] [--by NAME] [--yes] [--json] [--data DIR]',
  help: 'Erases a person: their key is destroyed, without which nobody reads what the trail says of them, and their tasks are removed. The chain stays valid. It cannot be undone.',
  options: {
    reason: { type: 'string', value: 'TEXT', help: 'why, for the record; it stays' },
    by: { type: 'string', value: 'NAME', help: 'who answers for it (default: your name on this machine)' },
    yes: { type: 'boolean', help: 'do not ask; needed where nobody sits at a terminal' },
    data: dataOption,
    json: jsonOption,
  },
  takes: 'name of a person',
  run: async (name, values) => {
    if (name === undefined)
      throw new ClawmeshError('USAGE', 'Who is to be erased?', {
        hint: 'Give the name that their tasks were filed under: `clawmesh audit subjects` lists them.',
      })
    const data = authorityFolder(values)
    await confirm(name, values)
    const by = text(values, 'by')?.trim() || personHere()
    const erasure = await inMesh(data, async (place) => {
      const { node, end } = await joinAsGuest(place.ground, data, ['authority', 'supervisor'])
      return eraseSubject(name, { ...place, node, by, reason: text(values, 'reason') }).finally(end)
    })
    if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, subject: name, by, ...erasure })}\n`)
    else process.stdout.write(`${printable(told(name, erasure))}\n`)
    return 0
  },
}

export const auditSubjects: Command = {
  name: 'audit subjects',
  usage: '[--json] [--data DIR]',
  help: 'Lists the names under which the trail keeps what can be erased: keys of the gateway, people at a terminal, and whom --subject named.',
  options: { data: dataOption, json: jsonOption },
  run: async (_, values) => {
    const { subjects } = openAuthority(dataPaths(authorityFolder(values)).authority, Date.now())
    const names = subjects.names()
    if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, subjects: names })}\n`)
    else process.stdout.write(`${printable(names.join('\n') || 'Nothing is filed under anybody.')}\n`)
    return 0
  },
}

/** Whoever holds the mesh's own keys may do this, and nobody else can. Throws DENIED. */
function authorityFolder(values: Values): string {
  const data = dataFolder(values)
  if (existsSync(join(dataPaths(data).authority, 'authority.json'))) return data
  throw new ClawmeshError(
    'DENIED',
    `There is no mesh in ${data}, and only who holds its keys knows or erases a person.`,
    {
      hint: 'Type it where the mesh was made, or name its data folder with --data.',
    },
  )
}

async function confirm(name: string, values: Values): Promise<void> {
  if (values['yes'] === true) return
  if (!isTerminal)
    throw new ClawmeshError('USAGE', 'An erasure cannot be undone, and nobody sits here who could be asked.', {
      hint: 'Give --yes.',
    })
  const typed = await question(
    `What is recorded of "${printable(name)}" will be readable by nobody, for good. Type the name again to erase it: `,
    stopOnSignal().signal,
  )
  if (typed?.trim() !== name) throw new ClawmeshError('CANCELLED', 'The name was not typed again: nothing was erased.')
}

interface Place {
  ground: LiveGround
  log: AppendLog
  isLive: boolean
}

/** In the mesh that runs there, or else on a broker that is started for it. */
async function inMesh<T>(data: string, use: (place: Place) => Promise<T>): Promise<T> {
  const live = await openLiveGround(data)
  if (live) {
    const source = await openLiveSource(data).catch(async (error: unknown) => {
      await live.close()
      throw error
    })
    if (source)
      return use({ ground: live, log: source.log, isLive: true }).finally(() =>
        source.close().finally(() => live.close()),
      )
    await live.close()
  }
  const folder = openDataFolder(data)
  try {
    const ground = await openGround({ config: readConfig(), folder, port: 0, progress })
    try {
      const { transport, records, addresses } = ground
      await transport.provideBuckets(addresses)
      await records.provideAudit(addresses)
      return await use({ ground, log: records.log(addresses.auditStream), isLive: false })
    } finally {
      await ground.close()
    }
  } finally {
    folder.release()
  }
}

function told(name: string, { keys, events, tasks, questions, letters, mail, left }: Erasure): string {
  const counted = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`
  return [
    `"${name}" is erased: ${counted(events, 'event')} of the trail can be read by nobody any more. Their place, kind and time stay, and so does the chain.`,
    `Removed: ${counted(tasks.length, 'task')}, ${counted(questions.length, 'question')}, ${counted(letters.length, 'dead letter')}, ${counted(mail, 'message')} that nobody had taken.`,
    `Key${keys.length === 1 ? '' : 's'}: ${keys.join(', ')}`,
    'Out of reach:',
    ...left.map((each) => `  ${each}`),
  ].join('\n')
}
