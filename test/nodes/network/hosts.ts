/**
 * Runs in a network namespace of its own, as `network.long.test.ts` starts it: the first of three hosts. Agents act on the other two; one of these is unplugged
 * while they do, for as long as its agents need to be started on the other, and plugged in again. Says on stdout what has held.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { supervise } from '../../../mesh/actor/supervisor.js'
import { openLiveGround } from '../../../nodes/authority/live.js'
import { joinAsGuest } from '../../../nodes/member/guest.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { Machine } from '../machine.js'
import { Act, Who } from './member.js'

const home = new Machine()
const ip = (...args: string[]) => execFileSync('ip', args)
const done = (what: string) => process.stdout.write(`${what}\n`)
const program = fileURLToPath(new URL('./member.js', import.meta.url))
const folder = temporaryFolder()
const effects = join(folder, 'effects')
const agents = ['agent-1', 'agent-2', 'agent-3', 'agent-4']

class Host {
  readonly name: string
  readonly #cable: string
  readonly #holder: ChildProcess
  #member: ChildProcess | undefined
  #said = ''

  /** A namespace that a sleeping process holds, with a cable to this one. */
  constructor(name: string) {
    this.name = name
    this.#cable = `to-${name}`
    this.#holder = spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' })
  }

  async plug(network: string): Promise<void> {
    const { pid } = this.#holder
    const own = execFileSync('readlink', ['/proc/self/ns/net']).toString()
    await eventually(() => assert.notEqual(execFileSync('readlink', [`/proc/${pid}/ns/net`]).toString(), own))
    ip('link', 'add', 'name', this.#cable, 'type', 'veth', 'peer', 'name', 'far')
    ip('link', 'set', 'far', 'netns', String(pid))
    ip('addr', 'add', `${network}.1/24`, 'dev', this.#cable)
    ip('link', 'set', this.#cable, 'up')
    const inside = (...args: string[]) => execFileSync('nsenter', ['--target', String(pid), '--net', 'ip', ...args])
    inside('link', 'set', 'lo', 'up')
    inside('addr', 'add', `${network}.2/24`, 'dev', 'far')
    inside('link', 'set', 'far', 'up')
  }

  unplug(): void {
    ip('link', 'set', this.#cable, 'down')
  }

  plugIn(): void {
    ip('link', 'set', this.#cable, 'up')
  }

  async join(invitation: string): Promise<void> {
    const into = ['--target', String(this.#holder.pid), '--net', process.execPath, program]
    const member = spawn('nsenter', [...into, join(folder, this.name), invitation, this.name], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    member.stdout.on('data', (chunk) => {
      this.#said += chunk
    })
    this.#member = member
    await eventually(() => assert.match(this.#said, /joined/), 30_000)
  }

  /** The node that this host finds under a name. */
  async who(agent: string): Promise<string> {
    const before = this.#said.length
    this.#member?.stdin?.write(`${agent}\n`)
    return eventually(() => {
      const [, found] = new RegExp(`${agent} is at (.*)\n`).exec(this.#said.slice(before)) ?? []
      assert.ok(found !== undefined)
      return found
    })
  }

  end(): void {
    this.#member?.kill('SIGKILL')
    this.#holder.kill('SIGKILL')
  }
}

const hosts = [new Host('left'), new Host('right')]
const [left, right] = hosts as [Host, Host]
try {
  ip('link', 'set', 'lo', 'up')
  await left.plug('10.77.0')
  await right.plug('10.78.0')
  await home.up('--name', 'home', '--listen', '0.0.0.0:4222')
  for (const host of hosts) await host.join(await home.invite())
  const ground = await openLiveGround(home.data)
  assert.ok(ground)
  const { node } = await joinAsGuest(ground, home.data, ['supervisor'])
  const supervisor = await supervise(node, {
    name: 'agents',
    children: agents.map((name) => ({ name, definition: 'agent' })),
  })
  const placed = () => agents.map((agent) => supervisor.placeOf(agent))
  assert.deepEqual(placed().toSorted(), ['left', 'left', 'right', 'right'])
  done('three hosts, agents on two of them')

  const isDone = (id: string) => existsSync(effects) && readFileSync(effects, 'utf8').includes(`${id} `)
  /** Asks again where the call was lost, unless it was done all the same. */
  const persist = async (agent: string, id: string): Promise<void> => {
    while (!isDone(id)) {
      try {
        await node.ref(agent).ask(Act, { id, file: effects, afterMs: 1500 }, { timeoutMs: 30_000 })
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }
  const work = Promise.all(
    agents.flatMap((agent) => Array.from({ length: 10 }, (_, n) => persist(agent, `${agent}/${n}`))),
  )
  await new Promise((resolve) => setTimeout(resolve, 700))
  left.unplug()
  await eventually(() => assert.deepEqual(placed(), ['right', 'right', 'right', 'right']), 20_000)
  done('one is unplugged, and the other has its agents')
  await work
  left.plugIn()
  await eventually(async () => assert.ok((await home.names()).includes('left')), 30_000)
  for (const agent of agents) {
    const answers = [await node.ref(agent).ask(Who, null), await left.who(agent), await right.who(agent)]
    assert.deepEqual(answers, ['right', 'right', 'right'], `${agent}: the hosts do not agree`)
  }
  done('healed: one brain')
  await node.audit.intend({ kind: 'action.intended', trace: 'hosts', actor: 'end', facts: {} })
  const lines = readFileSync(effects, 'utf8').trim().split('\n')
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]).toSorted(),
    [...new Set(lines.map((line) => line.split(' ')[0]))].toSorted(),
  )
  assert.equal(lines.length, 40)
  done('each effect once')
} finally {
  for (const host of hosts) host.end()
  await home.remove()
}
process.exit(0)
