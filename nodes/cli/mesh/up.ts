/** `clawmesh up`: a mesh that other machines can join, until a signal ends it. */
import { resolve } from 'node:path'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Workspace } from '../../../sandbox/workspace.js'
import { isLoopback, keepListen, type Listen, leafPort, parseHostPort, recallListen } from '../../authority/address.js'
import { openGatewayTls } from '../../authority/gateway-tls.js'
import { PolicyBook } from '../../authority/policy-book.js'
import { readConfig } from '../../config.js'
import { type DataFolder, openDataFolder } from '../../data-folder.js'
import { checkFree } from '../../gateway/http/port.js'
import type { Gateway } from '../../gateway/server.js'
import { keepOffer, machineName, planOffer, recallOffer, workspaceOf } from '../../member/offer.js'
import { parseServers } from '../../outside.js'
import { planInference } from '../../process/plan.js'
import { type Site, startSite } from '../../site.js'
import { type Answering, answerAtTerminal } from '../approve/inbox.js'
import { type Command, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'
import { introduceModels, passNotesOn } from '../job/introduce.js'
import { readLabels } from '../labels.js'
import { givenOffer, offerOptions, sayOffer } from '../offer-options.js'
import { brokersOption, readBrokers } from '../options.js'
import { sayOfferRefusal } from '../policy/refusal-note.js'
import { stopOnSignal, untilStopped } from '../stop.js'
import { progress } from '../terminal.js'
import { type GatewayPlace, gatewayPlace, keepGateway, recallGateway } from './gateway-place.js'

export const up: Command = {
  name: 'up',
  usage: '[--listen HOST[:PORT]] [options]',
  help: 'Runs a mesh (authority, broker, and a node with what this machine offers) until Ctrl-C. What is said once is remembered in the data folder.',
  options: {
    listen: {
      type: 'string',
      value: 'HOST[:PORT]',
      help: 'where the broker listens: 0.0.0.0 lets other machines in, with TLS (default: this machine alone)',
    },
    advertise: {
      type: 'string',
      value: 'HOST[:PORT]',
      help: 'where other machines find it, if not at an address of this machine',
    },
    brokers: brokersOption,
    leaf: {
      type: 'string',
      value: 'HOST[:PORT]',
      help: `where servers of other sites connect as leaf nodes, with TLS beyond loopback (default port: ${leafPort}; see \`site\`)`,
    },
    nats: {
      type: 'string',
      value: 'URL,…',
      help: 'NATS servers that somebody else runs (nats://… on this machine, tls://… elsewhere), instead of brokers of its own',
    },
    certificates: {
      type: 'string',
      value: 'TIME',
      help: "how long a node's certificate is good (default: 24h); it renews itself at half of that",
    },
    data: {
      type: 'string',
      value: 'DIR',
      help: 'where the mesh keeps its keys and its audit trail (default: ~/.local/share/clawmesh/mesh)',
    },
    gateway: {
      type: 'string',
      value: '[HOST:]PORT',
      help: 'serve the OpenAI API and MCP there, on this machine alone (0: any free port; none: no longer)',
    },
    'gateway-listen': {
      type: 'string',
      value: '[HOST:]PORT',
      help: 'the same beyond this machine, over TLS: 0.0.0.0:8443 for all its addresses',
    },
    'gateway-certificate': {
      type: 'string',
      value: 'FILE',
      help: 'what it shows there, PEM (default: one that the mesh signs)',
    },
    'gateway-key': { type: 'string', value: 'FILE', help: 'the key of that certificate, PEM' },
    labels: {
      type: 'string',
      value: 'LIST',
      help: 'what the certificate says of this machine: site=berlin,gpu (none: nothing any longer)',
    },
    ...offerOptions,
    json: { type: 'boolean', help: 'print one JSON object when the mesh is up: its name, this node, its gateway' },
  },
  run: runUp,
}

async function runUp(_: string | undefined, values: Values): Promise<number> {
  const config = readConfig()
  const brokers = readBrokers(values)
  const labels = readLabels(text(values, 'labels'))
  const life = text(values, 'certificates')
  const certificateLifeMs = life === undefined ? undefined : readDuration(life, 'certificates')
  const data = resolve(text(values, 'data') ?? config.data)
  const saidGateway = recallGateway(data, values)
  const place = gatewayPlace(saidGateway)
  const folder = openDataFolder(data)
  const stop = stopOnSignal()
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const offer = recallOffer(folder.path, givenOffer(values))
    const { roles, plan } = await planOffer(offer, folder.path, planInference(offer, config))
    if (place) await checkFree(place)
    const listen = listenAt(recallListen(folder.authority), values)
    const site = await startSite({
      config,
      folder,
      ...listen,
      brokers,
      certificateLifeMs,
      nodes: [{ name: offer.name ?? machineName(), roles, labels, plan }],
      progress,
      onFailure: (error) => stop.abort(error),
      signal: stop.signal,
    })
    let gateway: Gateway | undefined
    let answering: Answering | undefined
    try {
      keepOffer(folder.path, offer)
      keepGateway(folder.path, saidGateway)
      const { ports } = site.nats
      keepListen(folder.authority, { ...listen, port: ports[0] ?? listen.port, ports })
      answering = answerAtTerminal(site.node)
      passNotesOn(site.node, progress)
      sayOffer('up', offer)
      await sayOfferRefusal(offer, new PolicyBook(folder.authority, site.ground.authority).newest())
      await introduceModels(site.node, progress)
      gateway = place && (await serve(site, folder, workspaceOf(folder.path, undefined), place, listen.advertise))
      if (values['json']) {
        const { authority } = site.ground
        const node = offer.name ?? machineName()
        process.stdout.write(
          `${JSON.stringify({ ok: true, mesh: authority.mesh, node, data: folder.path, gateway: gateway?.url ?? null })}\n`,
        )
      }
      progress('The mesh is up. To add a machine, type here: `clawmesh invite`')
      if (listen.nats === undefined && isLoopback(listen.host))
        progress('Only this machine can join it; `clawmesh up --listen 0.0.0.0` lets others in.')
      await untilStopped(stop)
    } finally {
      progress('draining')
      answering?.end()
      await gateway?.close()
      await site.close()
    }
    return 0
  } finally {
    unwatch()
    folder.release()
  }
}

/** Loaded when it is wanted: HTTP would be a part of every command's start. */
async function serve(
  { node, tasks, ground }: Site,
  folder: DataFolder,
  workspace: Workspace | undefined,
  { host, port, beyond, tls: given }: GatewayPlace,
  advertise: string | undefined,
): Promise<Gateway> {
  const { openGateway } = await import('../../gateway/server.js')
  const { records, addresses, authority } = ground
  const policies = new PolicyBook(folder.authority, authority)
  const site = { tasks, workspace, policies, trail: { log: records.log(addresses.auditStream), authority } }
  const others = advertise === undefined ? [] : [parseHostPort(advertise, '--advertise').host]
  const made =
    beyond && !given ? openGatewayTls(folder.authority, authority.mesh, { host, others, now: Date.now() }) : undefined
  const gateway = await openGateway({ node, data: folder.path, site, host, port, tls: given ?? made })
  progress(`The gateway listens at ${gateway.url}. A key for it: \`clawmesh keys add NAME --role developer\``)
  if (made) progress(`Clients trust it by ${made.authority}: copy it to them (curl --cacert, NODE_EXTRA_CA_CERTS).`)
  return gateway
}

function listenAt(recalled: Listen, values: Values): Listen {
  const listen = text(values, 'listen')
  const advertise = text(values, 'advertise')
  const nats = text(values, 'nats')
  const leaf = text(values, 'leaf')
  const own = ['listen', 'advertise', 'brokers', 'leaf'].find((option) => values[option] !== undefined)
  if (nats !== undefined && own !== undefined)
    throw new ClawmeshError('USAGE', `--nats and --${own} do not go together: the servers are somebody else's.`, {
      hint: 'Leave one of them out.',
    })
  if (advertise !== undefined) parseHostPort(advertise, '--advertise')
  const { ports: _, ...first } = recalled
  return {
    ...(listen === undefined ? recalled : { ...first, ...parseHostPort(listen, '--listen') }),
    ...(advertise === undefined ? {} : { advertise }),
    ...(leaf === undefined ? {} : { leaf: parseHostPort(leaf, '--leaf', leafPort) }),
    ...(nats === undefined ? {} : { nats: parseServers(nats) }),
  }
}
