/** Which model a node serves: one that a server on this machine already has, else the small one that ships. */
import type { Backend } from '../../inference/backend.js'
import { shippedModelFolder } from '../../inference/models.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { OpenAiBackend } from '../../inference/openai/backend.js'
import { nameIt } from '../../inference/openai/owner.js'
import { leavesMachine, probeServers } from '../../inference/openai/probe.js'
import type { StoredModel } from '../../inference/shelved.js'
import { ModelStore } from '../../inference/store/store.js'
import { readStored } from '../../inference/stored.js'
import { isTritonUrl } from '../../inference/triton/address.js'
import { ClawmeshError } from '../../policies/errors.js'
import { offlineRunner } from '../../sandbox/offline.js'
import { log } from '../log.js'
import type { NodePlan } from './plan.js'

/** Models of the store that a person lets be loaded, as they can be offered; and what to know of those that cannot. */
export async function readStoredModels({
  store,
  names,
}: NonNullable<NonNullable<NodePlan['inference']>['stored']>): Promise<{ models: StoredModel[]; notes: string[] }> {
  const models = new ModelStore(store)
  const found = await models.list()
  const notes = (names ?? [])
    .filter((name) => !found.some(({ repository }) => repository === name))
    .map((name) => `${name} may be loaded and is not in the store: clawmesh models pull ${name}`)
  const offered: StoredModel[] = []
  for (const model of found) {
    const { repository, folder, licence } = model
    if (names && !names.includes(repository)) continue
    if (!(await models.isAccepted(model))) {
      notes.push(
        `${repository} is not offered: nobody has accepted its licence "${licence}" here. clawmesh models pull ${repository} asks for it`,
      )
      continue
    }
    try {
      offered.push(await readStored(folder, repository, { runner: offlineRunner() }))
    } catch (thrown) {
      notes.push(`${repository} is not offered: ${ClawmeshError.from(thrown).message}`)
    }
  }
  return { models: offered, notes }
}

export interface OpenedModels {
  backend: Backend
  /** What the person should know of the choice. */
  notes: string[]
}

export async function openModels({
  modelUrl,
  probe,
  folder,
}: NonNullable<NodePlan['inference']>): Promise<OpenedModels> {
  // One that the person named must be there; one that is found must have a model to be of use.
  if (modelUrl !== undefined) return { backend: await openNamed(modelUrl), notes: [] }
  const servers = probe ? await probeServers(undefined) : []
  const found = servers.filter(({ models, kind }) => models.some((each) => !leavesMachine(each, kind)))
  const notes = found.flatMap(({ base, distrust }) =>
    distrust === undefined ? [] : [`the model server at ${base} is not used: ${distrust}. ${nameIt}`],
  )
  const server = found.find(({ distrust }) => distrust === undefined)
  if (!server) {
    const runner = offlineRunner()
    // A second barrier, so the model is served all the same; but nobody is to take it for one that is there.
    if (!runner) notes.push(networked)
    return { backend: await OnnxBackend.open({ folder: folder ?? shippedModelFolder, runner }), notes }
  }
  log.info({ base: server.base, kind: server.kind }, 'a model server was found on this machine')
  return { backend: await OpenAiBackend.open({ url: server.base, found: true }), notes }
}

const networked =
  'the process of the model is not kept from the network here: that takes the sandbox launcher and user namespaces. `clawmesh doctor` says what is missing'

async function openNamed(url: string): Promise<Backend> {
  if (!isTritonUrl(url)) return OpenAiBackend.open({ url })
  // Loaded when it is wanted: gRPC would be a part of every node's start.
  const { openTriton } = await import('../../inference/triton/backend.js')
  return openTriton({ url })
}
