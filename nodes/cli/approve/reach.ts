/** How far a yes reaches, as it is typed. Pure. */
import { ClawmeshError } from '../../../policies/errors.js'
import { type Decision, longestGrantMs, mostUses } from '../../approvals/question.js'
import { lengthOf } from '../duration.js'

const longestHours = longestGrantMs / 3_600_000

/** "session", "15m", "3x"; undefined: this once. Throws USAGE. */
export function allowing(reach: string | undefined): Decision {
  if (reach === undefined) return { answer: 'allow', reach: 'once' }
  if (reach === 'session') return { answer: 'allow', reach: 'session' }
  const [, digits] = /^(\d+)x$/.exec(reach) ?? []
  const [uses, forMs] = [Number(digits), lengthOf(reach)]
  if (uses >= 2 && uses <= mostUses) return { answer: 'allow', reach: 'uses', uses }
  if (digits !== undefined)
    throw unfit(`A yes is not for "${reach}" actions: a number of uses is 2 to ${mostUses}.`, uses === 1)
  if (forMs === undefined) throw unfit(`A yes is not for "${reach}".`)
  if (forMs <= longestGrantMs) return { answer: 'allow', reach: 'time', forMs }
  throw unfit(`A yes is not for ${reach}: it stands at most ${longestHours} hours.`)
}

const unfit = (message: string, isOnce = false): ClawmeshError =>
  new ClawmeshError('USAGE', message, {
    hint: isOnce
      ? 'For this one action leave --for out.'
      : `Give --for session (what else its task asks for of the kind), a time such as 15m (at most ${longestHours} hours), or a number of actions such as 3x (2 to ${mostUses} uses).`,
  })
