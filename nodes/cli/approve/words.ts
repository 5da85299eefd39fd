/** Questions in words. */
import type { Grant, Question, View } from '../../approvals/question.js'
import { printable } from '../printable.js'

/** A question that people do not see yet stands for itself alone. */
export function headline({ tool, node, args, missing, folded = 0, behind = 0 }: Question & Partial<View>): string {
  const wish = missing
    .map(({ kind, path, by }) => `${kind} "${printable(path)}"${by === undefined ? '' : ` by ${printable(by)}`}`)
    .join(' and ')
  const paths = new Set(missing.map(({ path }) => path))
  const given = Object.entries(args)
    .filter(([name, value]) => name !== 'path' && !paths.has(String(value)))
    .map(([name, value]) => `, ${name} ${shortened(JSON.stringify(value) ?? '')}`)
    .join('')
  const same = folded > 0 ? `; ${folded} more of it wait` : ''
  const others = behind > 0 ? `; ${behind} other actions of its task wait behind it` : ''
  return `held: ${tool} on ${node} wants to ${wish}${given}${same}${others}`
}

/** `approve show` has all of it. */
const shortened = (json: string) => printable(json.length > mostShown ? `${json.slice(0, mostShown)}…` : json)
const mostShown = 200

export function verdictLine({ verdict }: View): string {
  if (!verdict) return 'open'
  const { answer, by, reach } = verdict
  if (by.startsWith('nobody: the question was not answered')) return 'not answered in time: refused'
  const reaching = reach === 'session' ? ' for this task' : reach === 'time' ? ' for a time' : ''
  return `${answer === 'allow' ? 'allowed' : 'refused'}${reaching} by ${by}`
}

/** All that a person should know before a yes. */
export function detail(view: View): string {
  const { id, task, node, tool, args, workspace, adds, askedAt, deadline } = view
  const added = Object.entries(adds).flatMap(([field, paths]) => (paths ?? []).map((path) => `  ${field}: ${path}`))
  return [
    `${id}  ${verdictLine(view)}`,
    `  ${headline(view)}`,
    `  task ${task || 'none'}, asked ${new Date(askedAt).toISOString()}, until ${new Date(deadline).toISOString()}`,
    `  arguments: ${JSON.stringify(args)}`,
    `  workspace: ${workspace || 'none'} (on ${node})`,
    `  a yes adds to the policy of ${tool}:`,
    ...added.map((line) => `  ${line}`),
  ].join('\n')
}

export const line = (view: View): string => `${view.id}  ${verdictLine(view).padEnd(8)}  ${headline(view)}`

export function grantLine({ id, answer, by, task, action, until, uses }: Grant): string {
  const what = action ? `${action.tool} on ${action.node}` : 'everything'
  const whose = task === null ? 'of any task' : `of task ${task}`
  return `${id}  stands: ${answer} ${what} ${whose}, by ${by}, until ${new Date(until).toISOString()}, used ${uses} times`
}
