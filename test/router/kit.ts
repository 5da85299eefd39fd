/** A router as it is in use: the shipped rules with one model elsewhere, a key store on disk, a cloud that records, a trail that can be made to fail. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent } from '../../mesh/audit/event.js'
import { installation } from '../../mesh/installation.js'
import { parseRouterRules, type RouterRules } from '../../policies/router.js'
import type { RouterAudit } from '../../router/audit.js'
import type { StartHolder } from '../../router/egress/channel.js'
import { Egress } from '../../router/egress/egress.js'
import { ProviderStore } from '../../router/provider/store.js'
import { type AnswerEvent, Router, type RouterOptions } from '../../router/router.js'
import { TaggerProcess } from '../../router/tagger/process.js'
import { type Cloud, openCloud } from './cloud.js'

export const shipped = readFileSync(join(installation, 'policies', 'router.yaml'), 'utf8')
export const rulesWithCloud: RouterRules = parseRouterRules(
  shipped.replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]'),
)
export const destination = { provider: 'cloud', model: 'large' }
export const asker = { roles: ['worker' as const], actor: 'worker-1', trace: 'task-1' }

/** An audit trail in memory that acknowledges what it holds, until it is told to fail. */
export class MemoryTrail implements RouterAudit {
  readonly events: AuditEvent[] = []
  failing: 'record' | 'intend' | undefined

  async record(event: AuditEvent): Promise<void> {
    if (this.failing === 'record') throw new Error('the disk is full')
    this.events.push(event)
  }

  async intend(event: AuditEvent): Promise<void> {
    if (this.failing === 'intend') throw new Error('the stream does not answer')
    this.events.push(event)
  }
}

export interface Stand {
  readonly cloud: Cloud
  readonly trail: MemoryTrail
  readonly egress: Egress
  readonly router: Router
  readonly tagger: TaggerProcess
  close(): Promise<void>
}

export const secretKey = 'the-key-of-the-cloud-0123456789'

export async function openStand(
  rules: RouterRules = rulesWithCloud,
  more: Pick<RouterOptions, 'spending' | 'opinion'> = {},
  start?: StartHolder,
): Promise<Stand> {
  const cloud = await openCloud()
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-router-'))
  const store = new ProviderStore(join(folder, 'providers.sealed'), randomBytes(32))
  store.add('cloud', { form: 'openai', url: cloud.url, key: secretKey, models: ['large'] })
  const egress = Egress.open(store, start)
  const trail = new MemoryTrail()
  const tagger = new TaggerProcess()
  return {
    cloud,
    trail,
    egress,
    tagger,
    router: new Router({ rules, egress, audit: trail, tagger, ...more }),
    close: async () => {
      egress.close()
      tagger.close()
      await cloud.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export const asking = (...contents: string[]) => ({
  messages: contents.map((content) => ({ role: 'user' as const, content })),
  maxTokens: 100,
})

export async function collected(stream: AsyncIterable<AnswerEvent>): Promise<string> {
  let text = ''
  for await (const event of stream) if (event.type === 'token') text += event.text
  return text
}
