/**
 * `npm run soak -- mcp`: the public conformance suite (@modelcontextprotocol/conformance), fetched by npm, against the gateway and against the client. Each of its scenarios must pass.
 */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installation } from '../../../../mesh/installation.js'
import { serveCatalog } from '../../../../nodes/catalog/host.js'
import { ApiKeys } from '../../../../nodes/gateway/http/keys.js'
import { openGateway } from '../../../../nodes/gateway/server.js'
import { memoryMesh, temporaryFolder } from '../../../kit/mesh.js'
import { suitesCatalog } from './conformance-catalog.js'

const version = '0.1.16'
/** The suite needs a newer Node than clawmesh does. */
const nodeVersion = 22

export async function soakMcp(): Promise<boolean> {
  const folder = temporaryFolder()
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  try {
    const suite = await fetchSuite(folder)
    const mesh = await memoryMesh()
    undo.push(() => mesh.close())
    const node = await mesh.join('front', { roles: ['supervisor', 'gateway'] })
    const key = new ApiKeys(folder).add('suite', 'admin', Date.now())
    const limits = { rate: { burst: 10_000, perSecond: 1000 } }
    await serveCatalog(await mesh.join('program', { roles: ['supervisor'] }), suitesCatalog)
    const gateway = await openGateway({ node, data: folder, host: '127.0.0.1', port: 0, limits })
    undo.push(() => gateway.close())
    const door = await openDoor(gateway.url, key)
    undo.push(() => door.close())
    const url = `http://localhost:${(door.address() as AddressInfo).port}/mcp`
    const client = join(installation, 'dist', 'test', 'nodes', 'agents', 'mcp', 'conformance-client.js')
    const server = await runAll(suite, 'server', ['--url', url])
    const other = await runAll(suite, 'client', ['--command', `${process.execPath} ${client}`])
    return server && other
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

interface Suite {
  node: string
  program: string
  folder: string
}

async function fetchSuite(folder: string): Promise<Suite> {
  const isNewEnough = Number(process.versions.node.split('.')[0]) >= nodeVersion
  const nodePackage = `node-${process.platform}-${process.arch}`
  const wanted = [
    `@modelcontextprotocol/conformance@${version}`,
    ...(isNewEnough ? [] : [`${nodePackage}@${nodeVersion}`]),
  ]
  await promisify(execFile)('npm', [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    ...wanted,
  ])
  const modules = join(folder, 'node_modules')
  return {
    node: isNewEnough ? process.execPath : join(modules, nodePackage, 'bin', 'node'),
    program: join(modules, '@modelcontextprotocol', 'conformance', 'dist', 'index.js'),
    folder,
  }
}

async function runAll(suite: Suite, side: 'server' | 'client', args: string[]): Promise<boolean> {
  const tally = { passed: 0, failed: 0 }
  for (const scenario of await scenariosOf(suite, side)) {
    const once = () => runOne(suite, [side, ...args, '--scenario', scenario])
    const first = await once()
    // Some go by milliseconds, which a busy machine does not keep.
    const { passed, said } = first.passed ? first : await once()
    const verdict = passed ? 'passed' : 'failed'
    tally[verdict] += 1
    process.stdout.write(`${side} ${scenario}: ${verdict}\n`)
    if (!passed) process.stdout.write(`${said.slice(-3000)}\n`)
  }
  process.stdout.write(`${side}: ${tally.passed} passed, ${tally.failed} failed\n`)
  // A list that could not be read is no success.
  return tally.failed === 0 && tally.passed > 0
}

async function scenariosOf({ node, program }: Suite, side: 'server' | 'client'): Promise<string[]> {
  const { stdout } = await promisify(execFile)(node, [program, 'list'])
  const [, servers = '', clients = ''] = stdout.split(/^.* scenarios \(.*$/m)
  return [...(side === 'server' ? servers : clients).matchAll(/^ {2}- (\S+)/gm)].map(([, name = '']) => name)
}

function runOne({ node, program, folder }: Suite, args: string[]): Promise<{ passed: boolean; said: string }> {
  return new Promise((resolve) => {
    execFile(node, [program, ...args], { cwd: folder, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ passed: error === null, said: stdout + stderr }),
    )
  })
}

/** The suite brings no key: this puts one on what it sends, and changes nothing else. */
async function openDoor(target: string, key: string): Promise<Server> {
  const { hostname, port } = new URL(target)
  const door = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming
    const to = { hostname, port, method, path: url, headers: { ...headers, authorization: `Bearer ${key}` } }
    const onward = httpRequest(to, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => door.listen(0, 'localhost', resolve))
  return door
}
