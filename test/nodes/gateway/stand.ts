/** A gateway over a mesh on a real broker: nodes with the shipped model, with one that never ends, and with one that computes elsewhere. */

import { rmSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { z } from 'zod'
import type { Backend } from '../../../inference/backend.js'
import { shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { addressesOf } from '../../../mesh/address.js'
import { openChain } from '../../../mesh/audit/chain.js'
import type { MeshNode } from '../../../mesh/index.js'
import type { Edition } from '../../../mesh/seal/edition.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { approvalsName } from '../../../nodes/approvals/messages.js'
import { serveApprovals } from '../../../nodes/approvals/serve.js'
import type { GatewayTls } from '../../../nodes/authority/gateway-tls.js'
import { PolicyBook, publishPolicy } from '../../../nodes/authority/policy-book.js'
import { ApiKeys } from '../../../nodes/gateway/http/keys.js'
import type { GatewayLimits } from '../../../nodes/gateway/http/limits.js'
import { type Gateway, openGateway } from '../../../nodes/gateway/server.js'
import { serveModel } from '../../../nodes/process/serve.js'
import { peopleRoles } from '../../../policies/people.js'
import { markovModel } from '../../inference/markov.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh, temporaryFolder } from '../../kit/mesh.js'

export const shipped = 'clawmesh-tiny'
export const endless = 'markov'
export const cloud = 'cloud'

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface Ask {
  method?: string
  key?: string | undefined
  body?: unknown
  headers?: Record<string, string>
}

/** Over node:http, since fetch would not let Host and Origin be forged. */
export function ask(url: string, path: string, { method = 'GET', key, body, headers = {} }: Ask = {}): Promise<Reply> {
  const content =
    body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const call = httpRequest(`${url}${path}`, {
      method,
      agent: false,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(content === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
        ...headers,
      },
    })
    call.once('error', reject)
    call.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    call.end(content)
  })
}

/** The head of an answer that need not end, and its events as they come. */
export interface Following {
  status: number
  headers: IncomingHttpHeaders
  /** Of events that came: id and data. */
  readonly events: { id: string; data: unknown }[]
  onEvent: (event: { id: string; data: unknown }) => void
  ended: Promise<void>
  close(): void
}

export function follow(url: string, path: string, key: string, lastEventId?: string): Promise<Following> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(`${url}${path}`, {
      agent: false,
      headers: {
        authorization: `Bearer ${key}`,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
    })
    call.on('error', reject)
    call.once('response', (response) => {
      const events: Following['events'] = []
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        const parts = `${text}${piece}`.split('\n\n')
        text = parts.pop() ?? ''
        for (const part of parts) {
          const [, id = ''] = /^id: (.*)$/m.exec(part) ?? []
          const [, data] = /^data: (.*)$/m.exec(part) ?? []
          if (data === undefined) continue
          const event = { id, data: JSON.parse(data) }
          events.push(event)
          following.onEvent(event)
        }
      })
      response.on('error', () => undefined)
      const ended = new Promise<void>((done) => void response.once('close', () => done()))
      const following: Following = {
        status: response.statusCode ?? 0,
        headers: response.headers,
        events,
        onEvent: () => undefined,
        ended,
        close: () => response.destroy(),
      }
      resolve(following)
    })
    call.end()
  })
}

export const errorSchema = z.object({
  error: z.object({ message: z.string().min(1), type: z.string(), param: z.null(), code: z.string() }),
})

/** Fails with the answer itself where it is none in OpenAI's error form. */
export const errorOf = ({ text }: Reply) => errorSchema.parse(JSON.parse(text)).error

/** The events of a stream, the end mark left out; throws where it is missing. */
export function eventsOf({ text }: Reply): unknown[] {
  const lines = text.split('\n\n').filter((line) => line !== '')
  if (lines.pop() !== 'data: [DONE]') throw new Error(`the stream breaks off: ${text.slice(-200)}`)
  return lines.map((line) => JSON.parse(line.replace(/^data: /, '')))
}

export interface Stand {
  readonly url: string
  /** The shipped model itself. */
  readonly tiny: Backend
  /** The node of the model that never ends. */
  readonly endlessNode: MeshNode
  readonly keys: ApiKeys
  /** One of each role, by its name. */
  readonly keyOf: Record<(typeof peopleRoles)[number], string>
  readonly tasks: Tasks
  readonly policies: PolicyBook
  /** Puts a version where the nodes see it. */
  publish(edition: Edition): Promise<void>
  /** Holds actions. */
  readonly box: MeshNode
  readonly front: MeshNode
  readonly mesh: NatsMesh
  /** Another gateway over the same mesh. */
  open(limits: Partial<GatewayLimits>, tls?: GatewayTls): Promise<Gateway>
  close(): Promise<void>
}

export async function openStand(limits: Partial<GatewayLimits> = {}): Promise<Stand> {
  const undo: (() => unknown)[] = []
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const data = temporaryFolder()
    undo.push(() => rmSync(data, { recursive: true, force: true }))
    const mesh = await natsMesh()
    undo.push(() => mesh.close())
    const never = await markovModel((token) => (token >= 97 && token < 122 ? token + 1 : 97))
    const serve = async (name: string, folder: string, slots: number) => {
      const backend = await OnnxBackend.open({ folder, slots })
      undo.push(() => backend.dispose())
      const node = await mesh.join(name, { roles: ['inference'] })
      await serveModel(node, backend)
      return { node, backend }
    }
    const { backend: tiny } = await serve('tiny', shippedModelFolder, 4)
    const { node: endlessNode } = await serve('endless', never, 1)
    await mesh.join('far', { roles: ['inference'], advert: { model: cloud, zone: 'elsewhere' } })
    // Its chain is a file, as that of every node that ships: what is recorded is synced.
    const node = await mesh.join('front', { roles: ['gateway'], chain: openChain(join(data, 'front.chain')) })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const transport = await mesh.connectAsAuthority()
    undo.push(() => transport.close())
    const records = await mesh.connectAsAuditor()
    undo.push(() => records.close())
    const home = await mesh.join('home', { roles: ['authority', 'supervisor', 'gateway'] })
    await serveApprovals(home, {
      bucket: await transport.bucket(addresses.approvals),
      secret: authority.tasksKey,
    })
    const box = await mesh.join('box', { roles: ['sandbox'] })
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: 'test' })
    const policies = new PolicyBook(data, authority)
    const site = {
      tasks,
      workspace: undefined,
      policies,
      trail: { log: records.log(addresses.auditStream), authority },
    }
    const keys = new ApiKeys(data)
    const keyOf = Object.fromEntries(peopleRoles.map((role) => [role, keys.add(role, role, Date.now())]))
    const open = async (other: Partial<GatewayLimits>, tls?: GatewayTls) => {
      const gateway = await openGateway({ node, data, site, host: '127.0.0.1', port: 0, tls, limits: other })
      undo.push(() => gateway.close())
      return gateway
    }
    const { url } = await open({ rate: { burst: 1000, perSecond: 1000 }, ...limits })
    await eventually(() => {
      const models = node.nodes().filter(({ advert }) => typeof advert['model'] === 'string')
      if (models.length < 3) throw new Error('not all nodes are there yet')
      for (const one of [node, box])
        if (!one.directory.locate(approvalsName)) throw new Error('the desk is not there yet')
    })
    const publish = (edition: Edition) => publishPolicy(edition, { authority, transport, addresses })
    const parts = { url, tiny, endlessNode, keys, keyOf: keyOf as Stand['keyOf'], tasks, policies, publish }
    return { ...parts, box, front: node, mesh, open, close }
  } catch (error) {
    await close()
    throw error
  }
}
