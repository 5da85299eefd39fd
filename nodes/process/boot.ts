/**
 * The program of a node process. Its parent tells it what to be over the pipe. SIGTERM has it drain and end; when the pipe closes the parent is dead, and
 * with it the site: what has happened is on this disk, so it ends at once and is out of the way of the next run.
 */

import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { thisHost } from '../../inference/hardware/host.js'
import { type HardwareAdvert, readHardware } from '../../inference/hardware.js'
import type { Shelf } from '../../inference/shelf.js'
import { openChain } from '../../mesh/audit/chain.js'
import { joinMesh, type MeshNode } from '../../mesh/index.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { connectNats, type NatsTransport } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type Availability, sandboxAvailability } from '../../sandbox/availability.js'
import { resolver } from '../../sandbox/egress/resolve.js'
import { sandboxName, sandboxService } from '../../sandbox/service.js'
import { debater } from '../agents/debate/debater.js'
import { worker } from '../agents/job/worker.js'
import { reader } from '../agents/research/reader.js'
import { readConfig } from '../config.js'
import { takeLock } from '../lock.mjs'
import { log } from '../log.js'
import { readAccess } from '../member/access.js'
import { freshened, keepCertified } from '../member/certified.js'
import { machineWords } from '../member/machine.js'
import { openTraces } from '../traces.js'
import { readDrained, serveDrain } from './drain.js'
import { keepLoad } from './load.js'
import { openModels, readStoredModels } from './models.js'
import { type NodePlan, type NodeReport, nodePlanSchema } from './plan.js'
import { advertOf, keepLooking, keepWorkspace, openShelf, serveModels } from './serve.js'
import { StandingPolicy } from './standing-policy.js'
import { keepWay } from './way.js'

const drainWithinMs = 7000
const aloneWithinMs = 5000
/** Longer than a broker takes that is there, or that turns this node away. */
const isAwayMs = 3000

interface Running {
  node: MeshNode
  shelf: Shelf
  /** What it runs on, in words. */
  machine: string
  notes: string[]
}

let running: Promise<Running> | undefined

process.on('message', (message) => {
  running ??= start(message)
})
process.on('disconnect', () => process.exit(1))
// The parent may have died while this program was still being loaded.
if (!process.connected) process.exit(1)
process.on('SIGTERM', () => void end())
process.on('uncaughtException', (error) => crash(error))
process.on('unhandledRejection', (error) => crash(error))

async function start(message: unknown): Promise<Running> {
  try {
    const started = await boot(nodePlanSchema.parse(message))
    const { shelf, machine, notes } = started
    const models = shelf.offers().map(({ model: name, backend, unloaded }) => ({
      name,
      backend,
      ...(unloaded ? { bytes: unloaded.weights } : {}),
    }))
    report({ type: 'ready', machine, models, notes })
    return started
  } catch (error) {
    const { code, message: text, hint } = ClawmeshError.from(error)
    log.error({ code, hint }, text)
    report({ type: 'failed', code, message: text, hint })
    process.exit(1)
  }
}

async function boot(plan: NodePlan): Promise<Running> {
  await beAlone(`${plan.chain}.lock`)
  const earlier = readCredentials(plan.credentials, undefined)
  const { name, roles, holder } = earlier.certificate
  const [transport, availability, models, stored, hardware] = await Promise.all([
    reached(plan.access, holder),
    plan.sandbox ? testSandbox() : undefined,
    plan.inference ? openModels(plan.inference) : undefined,
    plan.inference?.stored ? readStoredModels(plan.inference.stored) : undefined,
    readHardware({ ...thisHost, visibleGpus: readConfig().visibleGpus }),
  ])
  void transport.ended().then((reason) => reason && turnedAway(reason))
  transport.onConnection((connected) => report({ type: 'connection', connected }))
  const credentials = await freshened(earlier, plan, transport)
  const notes = [...(models?.notes ?? []), ...(stored?.notes ?? [])]
  if (availability?.available) notes.push(...availability.notes)
  else if (availability) notes.push(`no action can run here: ${availability.reason}. ${availability.hint}`)
  for (const note of notes) log.warn(note)
  let node: MeshNode | undefined
  let hasServed = false
  const { mostBytes, idleMs } = plan.inference?.stored ?? {}
  const shelf = openShelf({
    ...(mostBytes === undefined ? {} : { mostBytes }),
    ...(idleMs === undefined ? {} : { idleMs }),
    onFirst: (model) => {
      if (!hasServed) report({ type: 'served', model })
      hasServed = true
    },
  })
  if (models) shelf.keep(models.backend, models.backend.model.backend === 'onnx' ? [] : gpusOf(hardware))
  for (const model of stored?.models ?? [])
    if (!shelf.store(model)) notes.push(`of ${model.info.name} only one is offered, as two have that name`)
  const drainFile = join(dirname(plan.credentials), 'drained.json')
  const drained = readDrained(drainFile)
  shelf.drain(drained.node, drained.gpus)
  const groups = availability?.available ? availability.groups : undefined
  if (groups) log.info(groups)
  const sandbox = { sandbox: availability?.available ?? false, ...(groups && { groups }) }
  const advert = { hardware, ...sandbox, notes, ...advertOf(shelf) }
  const spans = openTraces(readConfig().traces, name, (text) => log.warn(text))
  const hosts = (self: MeshNode) => (roles.includes('worker') ? [worker(self), debater(self), reader(self)] : [])
  node = await joinMesh({ credentials, transport, chain: openChain(plan.chain), advert, hosts, spans })
  if (plan.sandbox && availability?.available) {
    const { workspace, shared, policy: text, policyName, follows = false } = plan.sandbox
    const { mesh, rootKey } = credentials
    const file = join(dirname(plan.credentials), 'policy.edition')
    const standing = new StandingPolicy({ name: policyName, text, follows, file, mesh, rootKey })
    await standing.begin(node)
    const resolve = resolver(readConfig().nameServers)
    const service = sandboxService(node, {
      ...{ workspace, shared, profile: standing.current, resolve },
      degraded: availability.degraded,
    })
    await node.spawn(service, { as: sandboxName(name) })
    await keepWorkspace(node, { folder: workspace, shared })
  }
  await serveMcpServers(node, plan)
  if (models) {
    await serveModels(node, shelf)
    keepLooking(shelf)
    void shelf.tryOut()
  }
  await serveDrain(node, { shelf, file: drainFile, gpus: gpusOf(hardware) })
  keepLoad(node, availableParallelism())
  keepWay(node, () => transport.roundTrip())
  keepCertified(node, credentials, plan, transport, ({ code, message }) =>
    log.warn({ code, message }, 'the certificate was not renewed; it is tried again'),
  )
  log.info({ name, roles }, 'joined the mesh')
  return { node, shelf, machine: machineWords(hardware), notes }
}

/** A mesh that is away is waited for, and whoever waits with this node is told so before the wait is over. */
async function reached(access: string, name: string): Promise<NatsTransport> {
  const settled = new AbortController()
  void setTimeout(isAwayMs, undefined, settled).then(
    () => report({ type: 'connection', connected: false }),
    () => undefined,
  )
  try {
    return await connectNats({ ...readAccess(access), name })
  } finally {
    settled.abort()
  }
}

/** The protocol is loaded where there are some. One that cannot be started ends the start: a person named it, and counts on it. */
async function serveMcpServers(node: MeshNode, { mcp = [], credentials }: NodePlan): Promise<void> {
  if (mcp.length === 0) return
  const [{ serveMcp }, { serverOf }, { LoginFile }] = await Promise.all([
    import('../agents/mcp/host.js'),
    import('../agents/mcp/file.js'),
    import('../agents/mcp/login-file.js'),
  ])
  const { signing } = readCredentials(credentials, undefined)
  for (const server of mcp) {
    const said = serverOf(server)
    const login = new LoginFile(dirname(credentials), said, signing)
    await serveMcp(node, said, { login, mayBeAway: true })
    log.info({ server: server.name }, 'an MCP server runs')
  }
}
/** A server that was found says nothing of where it computes: it is taken to use every GPU that can be told by an id. */
const gpusOf = ({ accelerators }: HardwareAdvert): string[] => accelerators.flatMap(({ uuid }) => uuid?.value ?? [])

/** The broker has ended this node's user: there is nothing left to do for it here, and nothing to come back to. */
function turnedAway(reason: Error): void {
  if (ending) return
  log.fatal({ reason: reason.message }, 'the broker turned this node away')
  const hint =
    'If that is a mistake, join again by a new invitation in another data folder: `clawmesh join INVITATION --data DIR`.'
  report({ type: 'failed', code: 'DENIED', message: 'The mesh turned this node away: it was revoked.', hint })
  process.exit(1)
}

/** A self-test that was ended from outside says nothing of this machine, so it is made once more. One that cannot be made is not passed. */
async function testSandbox(): Promise<Availability> {
  const test = () =>
    sandboxAvailability(readConfig()).catch((error: unknown): Availability => {
      const { message, hint } = ClawmeshError.from(error)
      return { available: false, reason: message, hint }
    })
  const first = await test()
  return first.available ? first : test()
}

/** Two processes must never write one chain. A process of an earlier run may need a moment to see that its parent is gone. */
async function beAlone(path: string): Promise<void> {
  for (const until = performance.now() + aloneWithinMs; ; ) {
    const lock = takeLock(path)
    if ('release' in lock) {
      process.on('exit', () => lock.release())
      return
    }
    if (performance.now() > until) {
      throw new ClawmeshError('DATA_IN_USE', `Process ${lock.holder} of an earlier run still holds ${path}.`, {
        hint: 'End that process and start again.',
      })
    }
    await setTimeout(50)
  }
}

let ending: Promise<void> | undefined

/** Drains once, however often and by whatever sign it is asked to. */
function end(): Promise<void> {
  ending ??= drain()
  return ending
}

async function drain(): Promise<void> {
  // A drain that hangs must not leave a process behind.
  const giveUp = AbortSignal.timeout(drainWithinMs)
  giveUp.addEventListener('abort', () => process.exit(1))
  const started = await running
  await started?.node.close()
  await started?.shelf.dispose()
  process.exit(0)
}

/** A node in an unknown state is worse than none: its parent starts it afresh. */
function crash(error: unknown): void {
  log.fatal({ err: error }, 'this node crashed')
  process.exit(70)
}

function report(message: NodeReport): void {
  if (process.connected) process.send?.(message)
}
