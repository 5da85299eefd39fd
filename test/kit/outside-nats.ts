/** NATS servers that somebody else runs: an operator of their own, and whatever configuration a test wants. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeAccount } from '@nats-io/jwt'
import { createAccount, createOperator } from '@nats-io/nkeys'
import { findBroker } from '../../mesh/broker/binary.js'
import { type Guarded, spawnGuarded } from '../../mesh/broker/guard.js'
import { cacheFolder } from '../../nodes/config.js'
import { eventually } from './eventually.js'
import { temporaryFolder } from './mesh.js'

export class OutsideNats {
  readonly folder = temporaryFolder()
  #server: Guarded | undefined
  /** Kept over a restart. */
  port = -1

  /** Starts it with these lines beside its port, its store and its log. */
  async start(lines: string[]): Promise<void> {
    const ports = join(this.folder, 'ports')
    rmSync(ports, { recursive: true, force: true })
    mkdirSync(ports)
    const config = join(this.folder, 'nats.conf')
    const own = [
      'host: "127.0.0.1"',
      `port: ${this.port}`,
      `ports_file_dir: ${JSON.stringify(ports)}`,
      `log_file: ${JSON.stringify(join(this.folder, 'nats.log'))}`,
    ]
    writeFileSync(config, [...own, ...lines].join('\n'))
    const { path } = await findBroker({
      searchPath: process.env['PATH'] ?? '',
      cache: cacheFolder(process.env),
      releases: '',
      progress: () => undefined,
    })
    this.#server = await spawnGuarded(path, ['-c', config])
    this.port = await eventually(() => {
      const [file] = readdirSync(ports)
      if (file === undefined) throw new Error('the server does not come up')
      const found = /"nats:\/\/127\.0\.0\.1:(\d+)"/.exec(readFileSync(join(ports, file), 'utf8'))?.[1]
      if (found === undefined) throw new Error(this.log())
      return Number(found)
    })
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  log(): string {
    return readFileSync(join(this.folder, 'nats.log'), 'utf8')
  }

  async stop(): Promise<void> {
    this.#server?.kill('SIGTERM')
    await this.#server?.ended
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  store(): string {
    return `jetstream { store_dir: ${JSON.stringify(join(this.folder, 'store'))} }`
  }
}

/** An operator as others are: with a system account, and a configuration that takes `guests`: the file that clawmesh wrote for it. */
export async function otherOperator(): Promise<(guest?: string) => string[]> {
  const [operator, system] = [createOperator(), createAccount()]
  const account = system.getPublicKey()
  const systemToken = await encodeAccount('SYS', system, {}, { signer: operator })
  return (guest) => {
    const text = guest === undefined ? '' : readFileSync(guest, 'utf8')
    const ours = /^trusted: \[ (\S+) \]$/m.exec(text)?.[1]
    const accounts = [...text.matchAll(/^ {2}(A[A-Z2-7]{55}): (\S+)$/gm)].map(([line]) => line)
    return [
      `trusted: [ ${[operator.getPublicKey(), ...(ours === undefined ? [] : [ours])].join(', ')} ]`,
      `system_account: ${account}`,
      'resolver: MEMORY',
      'resolver_preload {',
      `  ${account}: ${systemToken}`,
      ...accounts,
      '}',
    ]
  }
}
