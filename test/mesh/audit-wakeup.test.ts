import { describe, it } from 'node:test'
import type { AuditEvent } from '../../mesh/audit/event.js'
import { localMesh } from '../../mesh/index.js'

const event: AuditEvent = { kind: 'thought.asked', trace: '', actor: 'test', facts: {} }

describe('the audit writer', () => {
  it('sends an intent however soon after the record before it', async () => {
    const mesh = await localMesh()
    try {
      // One of these moments is that between the sender's last look at its queue and its end.
      for (let moment = 0; moment < 40; moment += 1) {
        await mesh.audit.flush(60_000)
        void mesh.audit.record(event)
        for (let tick = 0; tick < moment; tick += 1) await null
        await mesh.audit.intend(event)
      }
    } finally {
      await mesh.close()
    }
  })
})
