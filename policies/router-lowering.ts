/**
 * The rules with one file or folder less sensitive than they say now; everything else in the text stays as it was written, comments too. Pure.
 *
 *     lowerFile(text, 'board/plan.txt', { label: 'INTERNAL', categories: [] }, 'Anna Becker: it is public now')
 */
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { ClawmeshError } from './errors.js'
import { parseRouterRules, type RouterRules, sensitivityOfFile } from './router.js'
import { atLeast, type Sensitivity } from './router-label.js'

export interface Lowered {
  readonly text: string
  readonly rules: RouterRules
  readonly from: Sensitivity
}

/**
 * @param why a line for the comment beside the entry: who, and for what reason
 * @throws ClawmeshError USAGE where nothing would come down, or something inside the folder keeps it up
 */
export function lowerFile(text: string, path: string, to: Sensitivity, why: string): Lowered {
  const from = sensitivityOfFile(parseRouterRules(text), path)
  if (from === undefined) {
    throw new ClawmeshError('USAGE', `The rules say nothing of ${path}, so there is no label to lower.`, {
      hint: 'What its content is found to be is nobody’s to lower: take it out of the text, or change the rules for its kind.',
    })
  }
  if (!atLeast(from.label, to.label) || to.categories.some((category) => !from.categories.includes(category))) {
    throw new ClawmeshError('USAGE', `${path} is ${spelled(from)}; ${spelled(to)} is not lower.`, {
      hint: 'A label is raised in the router rules.',
    })
  }
  const document = parseDocument(text)
  const files = document.get('files')
  if (!isSeq(files)) throw new Error('rules that were parsed have no list of files')
  const entry = document.createNode({ path, label: to.label, categories: [...to.categories] }, { flow: true })
  entry.comment = ` ${why.replace(/\s+/g, ' ')}`
  files.flow = false
  files.items = files.items.filter((each) => !isMap(each) || pathOf(each.get('path', true)) !== path)
  files.add(entry)
  const lowered = String(document)
  const rules = parseRouterRules(lowered)
  const now = sensitivityOfFile(rules, path)
  if (now && spelled(now) === spelled(to)) return { text: lowered, rules, from }
  throw new ClawmeshError(
    'USAGE',
    `${path} stays ${now ? spelled(now) : 'as it is'}: the rules name something in it that is more.`,
    {
      hint: 'Lower that first.',
    },
  )
}

const pathOf = (node: unknown): unknown => (isScalar(node) ? node.value : undefined)

export const spelled = ({ label, categories }: Sensitivity): string => [label, ...categories].join(' ')
