/** One machine of a mesh in tests: the real command with a data folder of its own. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { command, type Ended, type Running, run } from './command.js'

/** Three brokers may take two rounds to choose a leader, twice. */
const upWithinMs = 120_000

export const nodesSchema = z.object({
  nodes: z.array(
    z.object({
      name: z.string(),
      roles: z.array(z.string()),
      labels: z.array(z.string()),
      model: z.string().nullable(),
      hardware: z.string().nullable(),
      auditLag: z.number().nullable(),
    }),
  ),
})

export class Machine {
  readonly data = join(temporaryFolder(), 'data')
  readonly #env: Record<string, string>
  #running: Running | undefined

  constructor(env: Record<string, string> = {}) {
    this.#env = env
  }

  /** Resolves when the command says that it is up; rejects with what it said if it ends first. */
  async start(args: string[], before: string[] = []): Promise<Running> {
    const model = args.includes('--model') ? [] : ['--model', 'shipped']
    const running = run([...args, '--data', this.data, ...model], { before, env: this.#env })
    this.#running = running
    let ended: Ended | undefined
    void running.ended.then((end) => {
      ended = end
    })
    await eventually(() => {
      if (ended) return
      if (!/The mesh is up|Joined as/.test(running.stderr())) throw new Error(running.stderr())
    }, upWithinMs)
    if (ended) throw new Error(running.stderr())
    return running
  }

  up(...args: string[]): Promise<Running> {
    return this.start(['up', ...args])
  }

  join(...args: string[]): Promise<Running> {
    return this.start(['join', ...args])
  }

  /** What the command that runs has said so far. */
  said(): string {
    return this.#running?.stderr() ?? ''
  }

  do(...args: string[]): Promise<Ended> {
    return command(...args, '--data', this.data)
  }

  async invite(...args: string[]): Promise<string> {
    const { stdout, stderr } = await this.do('invite', '--json', ...args)
    try {
      return z.object({ invitation: z.string() }).parse(JSON.parse(stdout)).invitation
    } catch (cause) {
      throw new Error(`no invitation: ${stderr}`, { cause })
    }
  }

  async nodes() {
    const { stdout } = await this.do('nodes', '--json')
    return nodesSchema.parse(JSON.parse(stdout)).nodes
  }

  async names(): Promise<string[]> {
    return (await this.nodes()).map(({ name }) => name)
  }

  async kill(): Promise<void> {
    this.#running?.child.kill('SIGKILL')
    await this.#running?.ended
  }

  /** In good order. */
  async stop(): Promise<Ended | undefined> {
    this.#running?.child.kill('SIGTERM')
    return this.#running?.ended
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(join(this.data, '..'), { recursive: true, force: true })
  }
}
