/** The only file that spells a NATS subject, stream or bucket. Names of actors and nodes never appear in one. */
import { digest, hex, utf8 } from './seal/keys.js'

/** As much of a run of a node as its address needs. */
interface Run {
  readonly id: string
  readonly certificate: { readonly holder: string }
}

export interface Addresses {
  /** Where one run of a node receives everything that is sent to it. Only its holder may listen there. */
  inbox(run: Run): string
  /** All inboxes, and those of the runs of one holder. */
  readonly inboxes: string
  inboxesOf(holder: string): string
  /**
   * Where a member hears one publisher of a room, and who that is by the subject. Only the member's own holder may listen there, and only the publisher's
   * may write: each member has a subject of its own, since the broker could not keep others from listening to one that all of them share.
   */
  room(member: string, room: string, publisher: string): string
  roomPublisher(subject: string): string | undefined
  /** All that is said to one holder in any room; what one may say to anybody; and all of it. */
  roomsOf(holder: string): string
  roomsBy(holder: string): string
  readonly rooms: string
  /** Where answers of the broker itself come to, for one of its users. */
  repliesTo(user: string): string
  /** The bucket of the directory, and its keys. */
  readonly directory: string
  readonly nodeToken: (nodeName: string) => string
  readonly nodeKeyAt: (token: string) => string
  readonly nodeKey: (nodeName: string) => string
  readonly actorKey: (actorName: string) => string
  readonly actorKeys: string
  /** Under which the authority says whose certificates are no longer good. */
  readonly revokedKey: string
  /** Under which it says that the broker saw a node's connection end. */
  readonly hangupKey: (nodeName: string) => string
  /** Under which it says which policy the mesh goes by. */
  readonly policyKey: string
  /** The bucket of tasks, and where the journal of one begins. */
  readonly tasks: string
  readonly taskKey: (task: string) => string
  /** The bucket of questions to people. */
  readonly approvals: string
  /** The bucket of what agents remember, and where the memory of one begins. */
  readonly memory: string
  readonly memoryKey: (of: string) => string
  /** The bucket of messages that are kept until they are taken. */
  readonly mail: string
  /** The audit stream and the subject on which one producer appends. */
  readonly auditStream: string
  readonly auditSubjects: string
  audit(producer: string): string
  /** The stream of dead letters, and where on it one node puts those of one sender: in one of 16 places, so that nobody makes up more. */
  readonly deadStream: string
  readonly deadSubjects: string
  dead(writer: string, sender: string): string
  /** Where the broker says, in its own account, that a connection of this account has ended. */
  disconnects(account: string): string
  /** Where newcomers and members ask the authority for a certificate. */
  readonly enrolment: string
  /** All that nodes send to each other. */
  readonly traffic: string
}

/** `secret` hides names in keys: the broker can tell two names apart and cannot read them. */
export function addressesOf(mesh: string, secret: Uint8Array): Addresses {
  const hidden = (kind: string, name: string) => hex(digest(secret, utf8(`${kind}\0${name}`))).slice(0, 32)
  const nodeKeyAt = (token: string) => `node.${token}`
  return {
    inbox: ({ id, certificate }) => `cm.${mesh}.in.${certificate.holder}.${id}`,
    inboxes: `cm.${mesh}.in.>`,
    inboxesOf: (holder) => `cm.${mesh}.in.${holder}.*`,
    room: (member, room, publisher) => `cm.${mesh}.room.${member}.${room}.${publisher}`,
    roomPublisher: (subject) => subject.split('.').at(-1),
    roomsOf: (holder) => `cm.${mesh}.room.${holder}.*.*`,
    roomsBy: (holder) => `cm.${mesh}.room.*.*.${holder}`,
    rooms: `cm.${mesh}.room.*.*.*`,
    repliesTo: (user) => `_INBOX.${user}`,
    directory: `cm-${mesh}-directory`,
    nodeToken: (name) => hidden('node', name),
    nodeKeyAt,
    nodeKey: (name) => nodeKeyAt(hidden('node', name)),
    actorKey: (name) => `actor.${hidden('actor', name)}`,
    actorKeys: 'actor.*',
    revokedKey: 'revoked',
    hangupKey: (name) => `hangup.${hidden('node', name)}`,
    policyKey: 'policy',
    tasks: `cm-${mesh}-tasks`,
    taskKey: (task) => `task-${hidden('task', task)}`,
    approvals: `cm-${mesh}-approvals`,
    memory: `cm-${mesh}-memory`,
    memoryKey: (of) => `memory-${hidden('memory', of)}`,
    mail: `cm-${mesh}-mail`,
    auditStream: `cm-${mesh}-audit`,
    auditSubjects: `cm-audit.${mesh}.*`,
    audit: (producer) => `cm-audit.${mesh}.${producer}`,
    deadStream: `cm-${mesh}-dead`,
    deadSubjects: `cm-dead.${mesh}.*.*`,
    dead: (writer, sender) => `cm-dead.${mesh}.${writer}.${sender[0]}`,
    disconnects: (account) => `$SYS.ACCOUNT.${account}.DISCONNECT`,
    enrolment: enrolmentSubject(mesh),
    traffic: `cm.${mesh}.>`,
  }
}

/** All that one need know who is not a member yet. */
export const enrolmentSubject = (mesh: string): string => `cm-enrol.${mesh}`
