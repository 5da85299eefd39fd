/** What a node may be certified for. A node may hold several. */
export const roles = [
  'authority',
  'supervisor',
  'worker',
  'sandbox',
  'inference',
  'router',
  'gateway',
  'auditor',
  /** A person who answers questions. */
  'approver',
] as const
export type Role = (typeof roles)[number]
