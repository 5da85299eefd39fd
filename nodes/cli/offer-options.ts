/** The options by which a person says what this machine offers: the same for the first machine of a mesh and for each that joins. */
import { resolve } from 'node:path'
import { noLonger, type Offer } from '../member/offer.js'
import { anyFound } from '../process/plan.js'
import { type Command, text, type Values } from './command.js'
import { readDuration } from './duration.js'
import { modelOption } from './options.js'
import { readSize } from './size.js'
import { progress } from './terminal.js'

export const offerOptions: Command['options'] = {
  name: { type: 'string', value: 'NAME', help: "this machine's name in the mesh (default: its host name)" },
  workspace: {
    type: 'string',
    value: 'DIR',
    help: 'run sandboxed actions here, on the files of this folder (default: run none)',
  },
  shared: {
    type: 'string',
    value: 'NAME|none',
    help: 'other machines have the same files, in a network folder or as copies, and say so by the same name: work on them may be done on any of these (none: no longer; default: the files are of this machine alone)',
  },
  policy: {
    type: 'string',
    value: 'FILE|PRESET',
    help: 'what those actions may do: mesh (default: what `clawmesh policy apply` says, ask-first until then), or one of its own: a preset or a file',
  },
  mcp: {
    type: 'string',
    value: 'FILE|none',
    help: 'run the MCP servers of this file here, each in a sandbox: agents of the mesh may use their tools (none: no longer)',
  },
  model: modelOption,
  models: {
    type: 'string',
    value: 'all|NAMES|none',
    help: 'models of the store (`models list`) that may be loaded when they are asked for, and leave when they are not (default: none)',
  },
  'model-memory': {
    type: 'string',
    value: 'SIZE',
    help: 'the most memory that these may take together: 8GB (default: what is free)',
  },
  'model-idle': {
    type: 'string',
    value: 'TIME',
    help: 'how long one that is asked nothing stays loaded (default: 10m)',
  },
}

export function givenOffer(values: Values): Partial<Offer> {
  const workspace = text(values, 'workspace')
  const policy = text(values, 'policy')
  const offer = {
    name: text(values, 'name'),
    // The name of a preset has no such sign.
    policy: policy !== undefined && /[./]/.test(policy) ? resolve(policy) : policy,
    model: rooted(text(values, 'model')),
  }
  const [memory, idle] = [text(values, 'model-memory'), text(values, 'model-idle')]
  const models = {
    models: text(values, 'models'),
    modelMemory: memory === undefined ? undefined : readSize(memory, 'model-memory'),
    modelIdleMs: idle === undefined ? undefined : readDuration(idle, 'model-idle'),
  }
  const mcp = text(values, 'mcp')
  const given = {
    ...offer,
    ...models,
    workspace: workspace === undefined ? undefined : resolve(workspace),
    shared: text(values, 'shared'),
    mcp: mcp === undefined || mcp === noLonger ? mcp : resolve(mcp),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** What follows from the offer and may surprise: whose files these are, and that a machine without a workspace runs no actions, which is not wrong. */
export function sayOffer(command: 'up' | 'join', { workspace, shared }: Offer): void {
  if (shared !== undefined)
    progress(
      `The files of this machine are those of all that say --shared ${shared}: work on them may be done on any of these (--shared none ends that).`,
    )
  if (workspace === undefined)
    progress(
      `This machine has no workspace and so runs no actions; \`clawmesh ${command} --workspace DIR\` gives it one.`,
    )
}

/** A folder is remembered from wherever the next start is made. */
const rooted = (model: string | undefined) =>
  model === undefined || ['shipped', anyFound].includes(model) || model.includes('://') ? model : resolve(model)
