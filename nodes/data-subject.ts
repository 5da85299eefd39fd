/** The person whom a task is about, as far as the trail is concerned: under this name it can be erased (`clawmesh audit erase`, docs/audit.md). */
import { userInfo } from 'node:os'
import type { MeshNode } from '../mesh/index.js'
import type { SubjectStore } from '../mesh/seal/subject-store.js'

export interface DataSubject {
  readonly name: string
  /** Before anything is recorded of the task. Throws AUDIT_UNAVAILABLE where it could not be erased later: then it is not to be begun. */
  file(task: string): void
}

/** Throws USAGE for what is no name. */
export function dataSubject(node: MeshNode, subjects: SubjectStore, name: string): DataSubject {
  subjects.keyOf(name)
  return { name, file: (task) => node.file(task, subjects.keyOf(name)) }
}

/** Whoever sits here. */
export function accountName(): string {
  try {
    return userInfo().username
  } catch {
    return 'somebody'
  }
}
