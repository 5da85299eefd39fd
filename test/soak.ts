/** `npm run soak -- NAME [COUNT] [SEED]`: long runs that wear at what the tests touch once. */

import { soakErase } from './audit/erase-soak.js'
import { soakConsumer } from './audit/kill-consumer.js'
import { soakCrash } from './chaos/crash.js'
import { soakKill } from './chaos/kill-soak.js'
import { soakMail } from './chaos/mail.js'
import { soakSignal } from './chaos/signal.js'
import { soakTask } from './chaos/task.js'
import { soakTwice } from './chaos/twice.js'
import { soakLogits } from './inference/onnx/logits-soak.js'
import { soakServers } from './inference/openai/soak.js'
import { soakTriton } from './inference/triton/soak.js'
import { undisturbed } from './kit/undisturbed.js'
import { soakCluster } from './mesh/broker/cluster-soak.js'
import { soakCurrent } from './mesh/current-soak.js'
import { soakMcp } from './nodes/agents/mcp/conformance.js'
import { soakGateway } from './nodes/gateway/fuzz.js'
import { soakClients } from './nodes/gateway/openai/clients.js'
import { soakSites } from './nodes/sites-soak.js'
import { soakHostile } from './router/hostile.js'
import { soakAgreement } from './sandbox/agreement-soak.js'
import { soakArm64 } from './sandbox/arm64-soak.js'
import { soakLaunch } from './sandbox/launch-soak.js'

// Some compute in this process, or in one that they start.
Object.assign(process.env, undisturbed)

interface Soak {
  /** Takes how often and a seed, and resolves to whether it was clean. */
  run(count: number, seed: number): Promise<boolean>
  usually: number
}

const soaks: Record<string, Soak> = {
  kill: { run: soakKill, usually: 60 },
  signal: { run: soakSignal, usually: 20 },
  twice: { run: soakTwice, usually: 3 },
  current: { run: soakCurrent, usually: 1 },
  task: { run: soakTask, usually: 20 },
  mail: { run: soakMail, usually: 10 },
  crash: { run: soakCrash, usually: 100 },
  triton: { run: soakTriton, usually: 1 },
  servers: { run: soakServers, usually: 1 },
  logits: { run: soakLogits, usually: 40 },
  hostile: { run: soakHostile, usually: 10 },
  agreement: { run: soakAgreement, usually: 20_000 },
  sandbox: { run: soakLaunch, usually: 20_000 },
  arm64: { run: soakArm64, usually: 1 },
  mcp: { run: soakMcp, usually: 1 },
  gateway: { run: soakGateway, usually: 10_000 },
  clients: { run: soakClients, usually: 1 },
  sites: { run: soakSites, usually: 1 },
  cluster: { run: soakCluster, usually: 12 },
  consumer: { run: soakConsumer, usually: 300 },
  erase: { run: soakErase, usually: 40 },
}

const [name = '', count, seed] = process.argv.slice(2)
const soak = soaks[name]
if (!soak) {
  process.stderr.write(`usage: npm run soak -- ${Object.keys(soaks).join('|')} [COUNT] [SEED]\n`)
  process.exit(2)
}
process.exitCode = (await soak.run(Number(count ?? soak.usually), Number(seed ?? 1))) ? 0 : 1
