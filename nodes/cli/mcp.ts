/** `clawmesh mcp`: the mesh that runs here as an MCP server on standard input and output, for programs that start their servers themselves. */
import { Refusals } from '../../mesh/calls/refusals.js'
import { openTasks } from '../../mesh/task/tasks.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type PeopleRole, peopleRoles } from '../../policies/people.js'
import { notRunning, openLiveGround } from '../authority/live.js'
import { accountName, dataSubject } from '../data-subject.js'
import { usualLimits } from '../gateway/http/limits.js'
import { Catalogs } from '../gateway/mcp/catalogs.js'
import { Desk } from '../gateway/mcp/desk.js'
import { meshResources } from '../gateway/mcp/mesh-resource.js'
import { meshTools } from '../gateway/mcp/mesh-tool.js'
import { Talks } from '../gateway/mcp/talk.js'
import { TaskRuns } from '../gateway/rest/tasks.js'
import { joinAsGuest } from '../member/guest.js'
import { workspaceOf } from '../member/offer.js'
import { PeopleRecord, StandingPeople } from '../people.js'
import { type Command, text, type Values } from './command.js'
import { dataFolder, dataOption, subjectOption } from './options.js'
import { stopOnSignal } from './stop.js'
import { progress } from './terminal.js'

export const mcp: Command = {
  name: 'mcp',
  usage: '[--role ROLE] [--workspace DIR]',
  help: 'Serves the mesh that runs here to one MCP client on standard input and output, until the client closes them. docs/mcp.md says what to write into the client.',
  options: {
    role: {
      type: 'string',
      value: 'ROLE',
      help: `what the client may do: ${peopleRoles.join(', ')} (default: developer)`,
    },
    workspace: {
      type: 'string',
      value: 'DIR',
      help: 'the folder that its requests are about (default: that of `clawmesh up`)',
    },
    data: dataOption,
    subject: subjectOption,
  },
  run: serveMcpClient,
}

async function serveMcpClient(_: string | undefined, values: Values): Promise<number> {
  const role = readRole(text(values, 'role') ?? 'developer')
  const data = dataFolder(values)
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  const stop = stopOnSignal()
  try {
    // Loaded before the node is there: while it loads, it says nothing, and the others could take it for lost. And only here: it would be a part of every command's start.
    const [{ mcpServer }, { serveStdio, StdioServerTransport }] = await Promise.all([
      import('../gateway/mcp/server.js'),
      import('@modelcontextprotocol/server/stdio'),
    ])
    const people = await StandingPeople.open(data)
    void people.now
    const { node, end } = await joinAsGuest(ground, data, ['supervisor', 'gateway'])
    const { transport, addresses, authority } = ground
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
    const workspace = workspaceOf(data, text(values, 'workspace'))
    const runs = workspace && new TaskRuns(node, tasks, workspace)
    try {
      const desk = new Desk(node)
      const catalogs = new Catalogs(node, desk)
      const own = { tools: meshTools(node, runs), resources: meshResources(node, runs), prompts: [] }
      const record = new PeopleRecord(node, people)
      await record.settle()
      const { answerMs, body } = usualLimits
      const refusals = new Refusals((facts) => node.note('gateway.refused', facts), 'address')
      const transport = new StdioServerTransport(process.stdin, process.stdout, { maxBufferSize: body })
      const subject = dataSubject(node, authority.subjects, text(values, 'subject') ?? accountName())
      const served = {
        node,
        refused: (why: string) => refusals.count('DENIED', why, undefined),
        offered: () => catalogs.beside(own),
        talks: new Talks(),
        principal: { name: 'stdio', role },
        people: () => people.now,
        settled: () => record.settle(),
        subject,
        answerMs,
      }
      const handle = serveStdio(({ era }) => mcpServer({ ...served, closing: stop.signal }, { era, lasts: true }), {
        transport,
      })
      progress(`serving the mesh to an MCP client, as ${role}`)
      await untilClosed(stop.signal)
      await handle.close()
      await desk.close()
      refusals.flush()
    } finally {
      await runs?.close()
      await end()
    }
    return 0
  } finally {
    await ground.close()
  }
}

/** The client has gone when it closes our input. */
function untilClosed(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close']) process.stdin.once(event, () => resolve())
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function readRole(given: string): PeopleRole {
  const role = peopleRoles.find((name) => name === given)
  if (role) return role
  throw new ClawmeshError('USAGE', `"${given}" is no role.`, { hint: `Give --role ${peopleRoles.join(', ')}.` })
}
