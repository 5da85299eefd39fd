/** Who may do what. Pure; deny by default; the reason goes into the audit event. */
import type { Role } from './roles.js'

export interface Principal {
  /** The certified name of the node that speaks. */
  readonly node: string
  readonly roles: readonly Role[]
}

export interface Decision {
  effect: 'allow' | 'deny'
  reason: string
}

/** May this principal send this message? `from` is what the message's definition says of its senders. */
export function decideSender(principal: Principal, name: string, from: readonly Role[] | 'members'): Decision {
  if (from === 'members') return { effect: 'allow', reason: `every member may send ${name}` }
  const role = principal.roles.find((held) => from.includes(held))
  if (role) return { effect: 'allow', reason: `role ${role} may send ${name}` }
  return {
    effect: 'deny',
    reason: `${name} may be sent by ${from.join(', ')}; node "${principal.node}" is ${principal.roles.join(', ') || 'without a role'}`,
  }
}

/** May this principal be asked this? `to` is what the message's definition says of those who answer it. */
export function decideReceiver(principal: Principal, name: string, to: readonly Role[] | 'members'): Decision {
  if (to === 'members') return { effect: 'allow', reason: `every member may answer ${name}` }
  const role = principal.roles.find((held) => to.includes(held))
  if (role) return { effect: 'allow', reason: `role ${role} may answer ${name}` }
  return {
    effect: 'deny',
    reason: `${name} is answered by ${to.join(', ')}; node "${principal.node}" is ${principal.roles.join(', ') || 'without a role'}`,
  }
}
