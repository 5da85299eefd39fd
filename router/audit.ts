import type { AuditEvent } from '../mesh/audit/event.js'

/** What the router needs of an audit trail; a node's `audit` is one. Nothing leaves before `intend` has resolved. */
export interface RouterAudit {
  record(event: AuditEvent): Promise<void>
  /** Resolves when the trail has acknowledged the event; rejects if it does not. */
  intend(event: AuditEvent): Promise<void>
}
