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

/**
 * May this principal send this message? `from` is what the message's definition says of its senders, `granted` who of the others may send it under a grant.
 * Whether the grant that is shown is good for it is not decided here.
 */
export function decideSender(
  principal: Principal,
  name: string,
  from: readonly Role[] | 'members',
  { granted = [], hasGrant = false }: { granted?: readonly Role[] | undefined; hasGrant?: boolean } = {},
): Decision {
  if (from === 'members') return { effect: 'allow', reason: `every member may send ${name}` }
  const role = principal.roles.find((held) => from.includes(held))
  if (role) return { effect: 'allow', reason: `role ${role} may send ${name}` }
  const grantee = principal.roles.find((held) => granted.includes(held))
  if (grantee && hasGrant) return { effect: 'allow', reason: `role ${grantee} may send ${name} under a grant` }
  if (grantee)
    return {
      effect: 'deny',
      reason: `node "${principal.node}" may send ${name} only under a grant of ${from.join(' or ')}, and showed none`,
    }
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
