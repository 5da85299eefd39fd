/**
 * Audit events as OCSF 1.8.0 events (https://schema.ocsf.io/1.8.0). Two classes are used: Application Lifecycle (6002) for what happens to nodes, actors,
 * models and policies, and API Activity (6003) for what is asked of the mesh and done by it. OCSF has no class for a model's thought, an approval or a
 * vote: they are API Activity with activity 99, "Other", named by their kind. All facts stand under `unmapped`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EventKind } from '../../mesh/audit/event.js'
import { installation } from '../../mesh/installation.js'
import type { Opening } from './opening.js'
import { eventId, rawRecord, type TrailEvent } from './read.js'

export const ocsfVersion = '1.8.0'

interface Class {
  uid: 6002 | 6003
  name: string
}
const lifecycle: Class = { uid: 6002, name: 'Application Lifecycle' }
const api: Class = { uid: 6003, name: 'API Activity' }

interface Activity {
  of: Class
  id: number
  name: string
  severity: Severity
}
type Severity = 'Informational' | 'Low' | 'Medium'
const severityIds: Record<Severity, number> = { Informational: 1, Low: 2, Medium: 3 }

const other = (of: Class, name: string, severity: Severity = 'Informational'): Activity => ({
  of,
  id: 99,
  name,
  severity,
})
const known = (of: Class, id: number, name: string, severity: Severity = 'Informational'): Activity => ({
  of,
  id,
  name,
  severity,
})

/** The table of docs/audit.md. */
export const ocsfActivities: Record<EventKind, Activity> = {
  'node.joined': known(lifecycle, 3, 'Start'),
  'node.left': known(lifecycle, 4, 'Stop'),
  'node.lost': other(lifecycle, 'Lost', 'Medium'),
  'node.enrolled': other(lifecycle, 'Enrolled'),
  'node.refused': other(lifecycle, 'Enrolment Refused', 'Medium'),
  'node.revoked': other(lifecycle, 'Revoked', 'Medium'),
  'node.drained': other(lifecycle, 'Drained', 'Informational'),
  'actor.crashed': other(lifecycle, 'Crash', 'Medium'),
  'actor.restarted': known(lifecycle, 5, 'Restart', 'Low'),
  'actor.abandoned': other(lifecycle, 'Abandoned', 'Medium'),
  'policy.loaded': other(lifecycle, 'Policy Loaded'),
  'policy.refused': other(lifecycle, 'Policy Refused', 'Medium'),
  'model.loaded': other(lifecycle, 'Model Loaded'),
  'checkpoints.found': other(lifecycle, 'Audit Checkpoints Found'),
  'message.denied': other(api, 'Message Denied', 'Medium'),
  'message.lost': other(api, 'Messages Lost', 'Medium'),
  'grant.used': other(api, 'Grant Used'),
  'dead.replayed': other(api, 'Dead Letter Replayed', 'Medium'),
  'dead.dropped': other(api, 'Dead Letter Dropped', 'Low'),
  'task.started': known(api, 1, 'Create'),
  'task.resumed': other(api, 'Task Resumed', 'Low'),
  'task.planned': known(api, 3, 'Update'),
  'task.ended': other(api, 'Task Ended'),
  'thought.asked': other(api, 'Model Asked'),
  'thought.answered': other(api, 'Model Answered'),
  'action.intended': other(api, 'Action Intended'),
  'action.ended': other(api, 'Action Ended'),
  'action.held': other(api, 'Action Held', 'Low'),
  'network.intended': other(api, 'Connection Intended'),
  'network.ended': other(api, 'Connection Ended'),
  'network.refused': other(api, 'Connection Refused', 'Medium'),
  'file.intended': other(api, 'Open Intended'),
  'file.opened': other(api, 'File Opened'),
  'file.changed': other(api, 'Name Changed'),
  'file.refused': other(api, 'Open Refused', 'Medium'),
  'approval.asked': other(api, 'Approval Asked', 'Low'),
  'approval.decided': other(api, 'Approval Decided', 'Medium'),
  'approval.refused': other(api, 'Approval Refused', 'Medium'),
  'approval.revoked': other(api, 'Approval Revoked', 'Medium'),
  'approval.answered': other(api, 'Approval Answered', 'Low'),
  'vote.cast': other(api, 'Vote Cast'),
  'vote.decided': other(api, 'Vote Decided'),
  'route.decided': other(api, 'Route Decided'),
  'route.judged': other(api, 'Route Judged'),
  'egress.intended': other(api, 'Egress Intended', 'Low'),
  'egress.ended': other(api, 'Egress Ended'),
  'label.lowered': other(api, 'Label Lowered', 'Medium'),
  'label.refused': other(api, 'Label Refused', 'Medium'),
  'model.used': other(api, 'Model Used'),
  'key.added': other(api, 'Key Added', 'Medium'),
  'key.removed': other(api, 'Key Removed', 'Medium'),
  'gateway.refused': other(api, 'Gateway Refused', 'Medium'),
  'gateway.asked': other(api, 'Gateway Asked'),
  'gateway.answered': other(api, 'Gateway Answered'),
  'subject.erased': other(api, 'Data Subject Erased', 'Medium'),
  'event.unreadable': other(api, 'Event Unreadable', 'Medium'),
  'room.changed': other(api, 'Room Changed'),
  'debate.opened': other(api, 'Debate Opened'),
  'debate.round': other(api, 'Debate Round'),
  'debate.lost': other(api, 'Debate Vote Lost', 'Low'),
}

const { version } = JSON.parse(readFileSync(join(installation, 'package.json'), 'utf8')) as { version: string }
const product = { name: 'clawmesh', vendor_name: 'clawmesh', version }

export function ocsfEvent(event: TrailEvent): object {
  const { time, kind, trace, actor, facts, subject } = event.open()
  const { sequence, node, record, index } = event
  const activity = ocsfActivities[kind]
  return {
    ...classified(activity, time),
    message: `${kind} by ${actor} on ${node}`,
    metadata: {
      version: ocsfVersion,
      product,
      uid: eventId(event),
      event_code: kind,
      sequence,
      log_name: 'clawmesh audit',
      original_time: new Date(time).toISOString(),
      ...(trace === '' ? {} : { correlation_uid: trace }),
    },
    ...(activity.of === api
      ? {
          actor: { app_name: actor, app_uid: record.producer },
          api: { operation: kind },
          src_endpoint: { name: node, uid: record.producer },
        }
      : { app: { name: kind.startsWith('actor.') ? (text(facts['name']) ?? actor) : node, uid: record.producer } }),
    raw_data: rawRecord(event),
    unmapped: { actor, node, producer: record.producer, number: record.number, index, subject, facts },
  }
}

const text = (fact: unknown): string | undefined => (typeof fact === 'string' ? fact : undefined)

/** The first line of a file is an event too: this export goes on. */
export function ocsfOpening(opening: Opening, time: number): object {
  return {
    ...classified(other(lifecycle, 'Audit Export Opened'), time),
    metadata: { version: ocsfVersion, product, event_code: 'export.opened', log_name: 'clawmesh audit' },
    app: { name: 'clawmesh audit export' },
    unmapped: { opening },
  }
}

function classified({ of, id, name, severity }: Activity, time: number): object {
  return {
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: of.uid,
    class_name: of.name,
    activity_id: id,
    activity_name: name,
    type_uid: of.uid * 100 + id,
    type_name: `${of.name}: ${name}`,
    severity_id: severityIds[severity],
    severity,
    time,
  }
}
