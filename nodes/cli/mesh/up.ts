/** `clawmesh up`: a mesh that other machines can join, until a signal ends it. */
import { resolve } from 'node:path'
import { keepListen, type Listen, parseHostPort, recallListen } from '../../authority/address.js'
import { readConfig } from '../../config.js'
import { openDataFolder } from '../../data-folder.js'
import { type GatewayAddress, parseGatewayAddress } from '../../gateway/address.js'
import type { Gateway } from '../../gateway/server.js'
import { isLoopback } from '../../ground.js'
import { keepOffer, machineName, planOffer, recallOffer } from '../../member/offer.js'
import { planInference } from '../../process/plan.js'
import { type Site, startSite } from '../../site.js'
import { type Answering, answerAtTerminal } from '../approve/inbox.js'
import { type Command, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'
import { introduceModels } from '../job/introduce.js'
import { givenOffer, offerOptions } from '../offer-options.js'
import { stopOnSignal, untilStopped } from '../stop.js'
import { progress } from '../terminal.js'

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
      help: 'serve the OpenAI API and MCP there in this run, on this machine alone (0: any free port)',
    },
    ...offerOptions,
  },
  run: runUp,
}

async function runUp(_: string | undefined, values: Values): Promise<number> {
  const config = readConfig()
  const life = text(values, 'certificates')
  const certificateLifeMs = life === undefined ? undefined : readDuration(life, 'certificates')
  const served = text(values, 'gateway')
  const address = served === undefined ? undefined : parseGatewayAddress(served)
  const folder = openDataFolder(resolve(text(values, 'data') ?? config.data))
  const stop = stopOnSignal()
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const offer = recallOffer(folder.path, givenOffer(values))
    const { roles, plan } = await planOffer(offer, folder.path, planInference(offer, config))
    const listen = listenAt(recallListen(folder.authority), values)
    const site = await startSite({
      config,
      folder,
      ...listen,
      certificateLifeMs,
      nodes: [{ name: offer.name ?? machineName(), roles, plan }],
      progress,
      onFailure: (error) => stop.abort(error),
      signal: stop.signal,
    })
    let gateway: Gateway | undefined
    let answering: Answering | undefined
    try {
      keepOffer(folder.path, offer)
      keepListen(folder.authority, { ...listen, port: site.broker.port })
      answering = answerAtTerminal(site.node)
      await introduceModels(site.node, progress)
      gateway = address && (await serve(site, folder.path, offer.workspace, address))
      progress('The mesh is up. To add a machine, type here: npm run clawmesh -- invite')
      if (isLoopback(listen.host)) progress('Only this machine can join it; `up --listen 0.0.0.0` lets others in.')
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
  data: string,
  workspace: string | undefined,
  address: GatewayAddress,
): Promise<Gateway> {
  const { openGateway } = await import('../../gateway/server.js')
  const { records, addresses, authority } = ground
  const site = { tasks, workspace, trail: { log: records.log(addresses.auditStream), authority } }
  const gateway = await openGateway({ node, data, site, ...address })
  progress(
    `The gateway listens at ${gateway.url}. A key for it: npm run clawmesh -- gateway key add NAME --role developer`,
  )
  return gateway
}

function listenAt(recalled: Listen, values: Values): Listen {
  const listen = text(values, 'listen')
  const advertise = text(values, 'advertise')
  if (advertise !== undefined) parseHostPort(advertise, '--advertise')
  return {
    ...recalled,
    ...(listen === undefined ? {} : parseHostPort(listen, '--listen')),
    ...(advertise === undefined ? {} : { advertise }),
  }
}
