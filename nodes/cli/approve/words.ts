/** Questions in words. */
import { type Grant, isOfRunning, type Question, type View } from '../../approvals/question.js'
import { printable } from '../printable.js'

/** A question that people do not see yet stands for itself alone. */
export function headline({ tool, node, args, missing, folded = 0, behind = 0 }: Question & Partial<View>): string {
  const wish = missing
    .map((access) => `${deed(access)}${access.by === undefined ? '' : ` by ${bare(access.by)}`}`)
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

function deed({ kind, path, operation, to, replaces }: Question['missing'][number]): string {
  const verb = {
    remove: 'remove',
    'remove-folder': 'remove the folder',
    'make-folder': 'make the folder',
    rename: 'rename',
    'rename-folder': 'rename the folder, with all that is in it,',
    mode: 'set the mode of',
    times: 'set the times of',
    link: 'give',
    symlink: 'make the link',
  }
  // Programs outside are led by it too.
  const towards = { link: 'the second name', symlink: 'that leads whoever follows it, outside of the sandbox too, to' }
  const word = operation === 'link' || operation === 'symlink' ? towards[operation] : 'to'
  const shown = operation === 'mode' || operation === 'times' ? bare : quoted
  const onto = to === undefined ? [] : [word, `${shown(to)}${replaces ? ', which is replaced,' : ''}`]
  return [operation ? verb[operation] : kind, quoted(path), ...onto].join(' ')
}

/** Where it ends is seen, whatever is in it: a path may hold quotes, lines, and what looks like another question. */
const quoted = (path: string) => printable(JSON.stringify(path))
/** The same without quotes, where nothing in it needs them. */
const bare = (path: string) => (/["\\\p{C}\p{Zl}\p{Zp}]/u.test(path) ? quoted(path) : printable(path))

/** `approve show` has all of it. */
const shortened = (json: string) => printable(json.length > mostShown ? `${json.slice(0, mostShown)}…` : json)
const mostShown = 200

export function verdictLine({ verdict }: View): string {
  if (!verdict) return 'open'
  const { answer, by, reach, forMs = 0, uses } = verdict
  if (by.startsWith('nobody: the question was not answered')) return 'not answered in time: refused'
  const reaching = {
    once: '',
    session: ' for this task',
    time: ` for ${Math.round(forMs / 1000)} s`,
    uses: ` for ${uses} actions of the kind, this one counted,`,
  }[reach]
  return `${answer === 'allow' ? 'allowed' : 'refused'}${reaching} by ${by}`
}

/** All that a person should know before a yes. */
export function detail(view: View): string {
  const { id, task, node, tool, args, missing, workspace, adds, askedAt, deadline } = view
  const added = Object.entries(adds).flatMap(([field, paths]) =>
    (paths ?? []).map((path) => `  ${field}: ${bare(path)}`),
  )
  return [
    `${id}  ${verdictLine(view)}`,
    `  ${headline(view)}`,
    `  task ${task || 'none'}, asked ${new Date(askedAt).toISOString()}, until ${new Date(deadline).toISOString()}`,
    `  arguments: ${JSON.stringify(args)}`,
    `  workspace: ${workspace ? bare(workspace) : 'none'} (on ${node})`,
    added.length === 0
      ? `  a yes adds nothing to the policy: it ${missing.some(isOfRunning) ? 'lets the running action do this' : 'is for this'}`
      : `  a yes adds to the policy of ${tool}:`,
    ...added.map((line) => `  ${line}`),
  ].join('\n')
}

export const line = (view: View): string => `${view.id}  ${verdictLine(view).padEnd(8)}  ${headline(view)}`

export function grantLine({ id, answer, by, task, action, until, uses, most }: Grant): string {
  const what = action ? `${action.tool} on ${action.node} to ${action.missing.map(deed).join(' and ')}` : 'everything'
  const whose = task === null ? 'of any task' : `of task ${task}`
  // Of a number of uses, the action that was asked about is the first.
  const used = most === null ? `used ${uses} times since` : `used ${uses + 1} of ${most + 1} times`
  return `${id}  stands: ${answer} ${what} ${whose}, by ${by}, until ${new Date(until).toISOString()}, ${used}`
}
