/** A program of which opens and changes of names are held: what was asked, in which order what was told, and what came of it. Whoever is asked says yes unless told otherwise. */
import { parseProfile } from '../../policies/profile.js'
import { type ActionOutcome, launch } from '../../sandbox/launch.js'
import { type AskedOfFile, type FileFacts, Opens, type OpensHooks } from '../../sandbox/opens/opens.js'
import { findPlaces } from '../../sandbox/place.js'
import { type Action, grantedPaths, planLaunch } from '../../sandbox/plan.js'
import type { Pool } from '../../sandbox/pool.js'
import { pool } from './stage.js'

export interface Told {
  readonly kind: string
  readonly facts: FileFacts
}

export interface HeldRun {
  readonly outcome: ActionOutcome
  readonly asked: readonly AskedOfFile[]
  readonly told: readonly Told[]
}

/** Lets everything be asked for. */
export const askAll = 'ask: [{ read: / }, { write: / }]'

/**
 * @param policy in YAML
 * @param by where the workers come from that do what was allowed
 */
export async function heldRun(
  policy: string,
  workspace: string,
  action: Action,
  { ask = async () => 'allow', ...others }: Partial<OpensHooks> = {},
  { stdin = '', by = pool }: { readonly stdin?: string; readonly by?: Pool | undefined } = {},
): Promise<HeldRun> {
  const profile = parseProfile(policy)
  const plan = planLaunch(profile, workspace, action, await findPlaces(grantedPaths(profile, workspace, action)))
  const told: Told[] = []
  const asked: AskedOfFile[] = []
  const opens = new Opens({
    profile,
    workspace,
    mounts: plan.mounts,
    pool: by,
    intend: async (facts) => void told.push({ kind: 'file.intended', facts }),
    record: (kind, facts) => void told.push({ kind, facts }),
    ...others,
    ask: (access, signal) => {
      asked.push(access)
      return ask(access, signal)
    },
  })
  return { outcome: await launch(plan, { pool, opens, stdin }), asked, told }
}
