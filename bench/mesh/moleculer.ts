/**
 * Moleculer over NATS as it comes: unencrypted, JSON, no metrics. Installed into a folder of its own for the run, from the registry that npm uses; two brokers
 * of it in this process, on the same nats-server.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { NatsMesh } from '../../test/kit/mesh.js'

const packages = ['moleculer@0.15.2', 'nats@2.29.3']
const installWithinMs = 180_000

interface ServiceBroker {
  createService(schema: object): unknown
  start(): Promise<void>
  stop(): Promise<void>
  waitForServices(name: string): Promise<unknown>
  call(action: string, parameters: object): Promise<unknown>
}

interface Moleculer {
  ServiceBroker: new (options: object) => ServiceBroker
}

interface OldClient {
  jwtAuthenticator(token: string, seed: Uint8Array): unknown
}

export interface Peer {
  ask(body: string): Promise<unknown>
  close(): Promise<void>
}

/** In words why it could not be installed here, or the pair. */
export async function moleculerPair(mesh: NatsMesh): Promise<Peer | string> {
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh bench '))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    writeFileSync(join(folder, 'package.json'), '{}')
    const flags = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-save']
    await promisify(execFile)('npm', [...flags, ...packages], { cwd: folder, timeout: installWithinMs })
  } catch (error) {
    remove()
    return (error as Error).message.split('\n')[0] ?? 'npm failed'
  }
  const require = createRequire(join(folder, 'package.json'))
  const { ServiceBroker } = require('moleculer') as Moleculer
  const { jwtAuthenticator } = require('nats') as OldClient
  const { token, seed } = await mesh.accounts.administrator('mesh')
  const authenticator = jwtAuthenticator(token, new TextEncoder().encode(seed))
  const open = (nodeID: string) =>
    new ServiceBroker({
      nodeID,
      logger: false,
      requestTimeout: 10_000,
      transporter: { type: 'NATS', options: { servers: mesh.brokers.urls, authenticator } },
    })
  const [asking, answering] = [open('asking'), open('answering')]
  answering.createService({
    name: 'echo',
    actions: { say: ({ params }: { params: { body: string } }) => params.body },
  })
  await Promise.all([asking.start(), answering.start()])
  await asking.waitForServices('echo')
  return {
    ask: (body) => asking.call('echo.say', { body }),
    close: async () => {
      await Promise.all([asking.stop(), answering.stop()])
      remove()
    },
  }
}
