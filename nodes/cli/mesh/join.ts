/** `clawmesh join`: makes this machine a node of a mesh, and runs the node until a signal ends it. */
import { dirname, join as joinPath, resolve } from 'node:path'
import { readCredentials } from '../../../mesh/seal/credentials.js'
import { readInvitation } from '../../authority/invitation.js'
import { readConfig } from '../../config.js'
import { openDataFolder } from '../../data-folder.js'
import { readAccess, writeAccess } from '../../member/access.js'
import { joinedAs } from '../../member/joined.js'
import { nodeFiles } from '../../member/member.js'
import { keepOffer, machineName, ofMesh, planOffer, recallOffer } from '../../member/offer.js'
import { parseServers } from '../../outside.js'
import { keepNode } from '../../process/keeper.js'
import { type NodeReport, planInference } from '../../process/plan.js'
import { type Command, text, type Values } from '../command.js'
import { givenOffer, offerOptions, sayOffer } from '../offer-options.js'
import { sayOfferRefusal } from '../policy/refusal-note.js'
import { size } from '../size.js'
import { stopOnSignal, untilStopped } from '../stop.js'
import { progress } from '../terminal.js'

export const join: Command = {
  name: 'join',
  usage: '[INVITATION] [options]',
  help: 'Joins this machine to the mesh that the invitation comes from and runs its node until Ctrl-C. Without one it goes on as the node that it was made before.',
  options: {
    data: {
      type: 'string',
      value: 'DIR',
      help: 'where the node keeps its keys (default: ~/.local/share/clawmesh/joined)',
    },
    nats: {
      type: 'string',
      value: 'URL,…',
      help: 'NATS servers by which this machine reaches the mesh, instead of those that the invitation names: those of its site, or outside ones',
    },
    ...offerOptions,
    json: { type: 'boolean', help: 'print one JSON object when this machine has joined: its name, its roles' },
  },
  takes: 'invitation',
  run: runJoin,
}

async function runJoin(given: string | undefined, values: Values): Promise<number> {
  const begun = performance.now()
  const config = readConfig()
  const named = text(values, 'data')
  const data = resolve(named ?? joinPath(dirname(config.data), 'joined'))
  const invited = given === undefined ? undefined : readInvitation(given, Date.now())
  const nats = text(values, 'nats')
  const servers = nats === undefined ? undefined : parseServers(nats)
  // Servers of a site show certificates of their own.
  const invitation = invited && servers ? { ...invited, servers, tlsFingerprint: undefined } : invited
  const folder = openDataFolder(data)
  const stop = stopOnSignal()
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const offer = recallOffer(data, givenOffer(values))
    const { roles, plan } = await planOffer(offer, data, planInference(offer, config))
    const name = await joinedAs(folder, invitation, { name: offer.name ?? machineName(), roles }, servers)
    keepOffer(data, offer)
    const files = nodeFiles(folder, name)
    if (servers && !invitation) {
      const { tlsAuthority: _, ...access } = readAccess(files.access)
      writeAccess(files.access, { ...access, servers })
    }
    const granted: readonly string[] = readCredentials(files.credentials, undefined).certificate.roles
    const { sandbox, inference, mcp } = plan
    const kept = await keepNode({
      name,
      plan: {
        ...files,
        ...(sandbox && granted.includes('sandbox') ? { sandbox } : {}),
        ...(mcp && granted.includes('sandbox') ? { mcp } : {}),
        ...(inference && granted.includes('inference') ? { inference } : {}),
      },
      logFolder: folder.node(name),
      onRestart: (_, reason) => progress(`node ${name} ${reason}; it is started again`),
      onGiveUp: (_, error) => stop.abort(error),
      onReport: sayReports(begun, plan.inference?.probe === true),
      waits: !invitation,
      signal: stop.signal,
    })
    try {
      if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, node: name, roles: granted, data })}\n`)
      progress(
        `Joined as "${name}": ${granted.join(', ')}. After a reboot, \`clawmesh join\` with no string is enough.`,
      )
      sayOffer('join', offer)
      // Which version the mesh's has, its node hears later.
      if (offer.policy !== ofMesh && granted.includes('sandbox')) await sayOfferRefusal(offer, undefined)
      await untilStopped(stop)
    } finally {
      progress('draining')
      await kept.stop()
    }
    return 0
  } finally {
    unwatch()
    folder.release()
  }
}

/**
 * Says what was found on this machine and is offered, once; how long it took from `join` to the first word of an answer; and when the mesh is out of reach and when it
 * is back. That it is there at first goes without saying.
 */
function sayReports(begun: number, looked: boolean): (report: NodeReport) => void {
  let was = true
  let isKnown = false
  let hasServed = false
  return (report) => {
    if (report.type === 'connection') {
      if (report.connected !== was)
        progress(report.connected ? 'the mesh is back' : 'the mesh is out of reach; this node waits for it')
      was = report.connected
    } else if (report.type === 'ready' && !isKnown) {
      isKnown = true
      progress(`This machine: ${report.machine}`)
      for (const note of report.notes) progress(note)
      for (const { name, backend, bytes } of report.models)
        progress(
          bytes === undefined
            ? `Serves ${name}${backend ? ` (${backend})` : ''}`
            : `Offers ${name}: ${size(bytes)}, loaded when it is asked for`,
        )
      if (looked && report.models.length > 0 && !report.models.some(({ backend }) => backend?.startsWith('openai:')))
        progress('No model server of yours was found on this machine: it is looked for when the node starts')
    } else if (report.type === 'served' && !hasServed) {
      hasServed = true
      const seconds = ((performance.now() - begun) / 1000).toFixed(1)
      progress(`The first token, of ${report.model}, came ${seconds} s after \`join\` was typed`)
    }
  }
}
