/**
 * What is passed on with a piece of work, in the words of those who act on it: `act` on a tool, `think` with a model, `read` and `write` in the workspace.
 *
 *     node.ref(worker).ask(DoPart, { words }, { entrust: onceEach(1) })
 *     node.ref(helper).stream(RunTask, { task }, { grant: context.grant, entrust: portion(context.grant, { tools: ['count_lines'], tokens: 5000 }) })
 */
import { type Ability, abilityOf, type Grant, type Wanted } from '../../mesh/index.js'
import { offeredTools } from './tools.js'

export interface Portion {
  /** Names of tools; `mcp/SERVER/TOOL` of MCP servers. A name may end in `*`. All that the giver has if left out. */
  tools?: readonly string[] | undefined
  /** Folders of the workspace in which files may be read and written; all of it if left out. */
  folders?: readonly string[] | undefined
  /** For models, in all. */
  tokens?: number | undefined
}

const everything = { on: ['*'] }
const whole: Wanted['may'] = { act: everything, think: everything, read: everything, write: everything }

/** A part of what was given or, without that, of all that there is. */
export function portion(given: Grant | undefined, { tools, folders, tokens }: Portion): Wanted {
  const may = { ...(given?.terms.may ?? whole) }
  const narrow = (can: string, more: Partial<Ability>) => {
    const ability = abilityOf(may, can)
    if (ability) may[can] = { ...ability, ...more }
  }
  if (tools) narrow('act', { on: tools })
  if (folders) for (const can of ['read', 'write']) narrow(can, { on: folders.flatMap(inFolder) })
  if (tokens !== undefined) narrow('think', { tokens })
  return { may }
}

/** For one who chooses a tool of the closed set by a model: so many actions, wherever in the workspace, and so many tokens of these models for the choice where they are limited. */
export const actions = (times: number, thinkable?: Thinkable): Wanted => ({
  may: {
    ...whole,
    act: { on: offeredTools.map(({ name }) => name), times },
    ...thoughts(thinkable).may,
  },
})

interface Thinkable {
  tokens?: number | undefined
  models?: readonly string[] | undefined
}

/** For one who is asked what it thinks: so many tokens of these models, where they are limited. */
export const thoughts = ({ tokens, models = ['*'] }: Thinkable = {}): Wanted => ({
  may: { think: { on: models, ...(tokens === undefined ? {} : { tokens }) } },
})

/** The folder itself and all that is in it. */
const inFolder = (folder: string): string[] => {
  const name = folder.replace(/\/+$/, '')
  return name === '' || name === '.' ? ['*'] : [name, `${name}/*`]
}
