/** The only file that spells a NATS subject, stream or bucket. Names of actors and nodes never appear in one. */
import { digest, hex, utf8 } from './seal/keys.js'

export interface Addresses {
  /** Where one run of a node receives everything that is sent to it. */
  inbox(incarnation: string): string
  /** The bucket of the directory, and its keys. */
  readonly directory: string
  readonly nodeKey: (nodeName: string) => string
  readonly actorKey: (actorName: string) => string
  /** The bucket of tasks, and where the journal of one begins. */
  readonly tasks: string
  readonly taskKey: (task: string) => string
  /** The audit stream and the subject on which one producer appends. */
  readonly auditStream: string
  readonly auditSubjects: string
  audit(producer: string): string
  /** Everything that a member may publish and subscribe to outside JetStream. */
  readonly traffic: string
}

/** `secret` hides names in keys: the broker can tell two names apart and cannot read them. */
export function addressesOf(mesh: string, secret: Uint8Array): Addresses {
  const hidden = (kind: string, name: string) => `${kind}-${hex(digest(secret, utf8(`${kind}\0${name}`))).slice(0, 32)}`
  return {
    inbox: (incarnation) => `cm.${mesh}.in.${incarnation}`,
    directory: `cm-${mesh}-directory`,
    nodeKey: (name) => hidden('node', name),
    actorKey: (name) => hidden('actor', name),
    tasks: `cm-${mesh}-tasks`,
    taskKey: (task) => hidden('task', task),
    auditStream: `cm-${mesh}-audit`,
    auditSubjects: `cm-audit.${mesh}.*`,
    audit: (producer) => `cm-audit.${mesh}.${producer}`,
    traffic: `cm.${mesh}.>`,
  }
}
