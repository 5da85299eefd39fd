/** What each action under a policy would be refused for in a workspace, found before there is one: by the same steps as at a launch, up to it. */
import { inWorkspace } from '../policies/coverage.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Profile } from '../policies/profile.js'
import { findPlaces } from './place.js'
import { grantedPaths, planLaunch } from './plan.js'
import { realWorkspace } from './run.js'
import { toolRuntime } from './tools/runtime.js'

/** DENIED, POLICY_INVALID or WORKSPACE_UNREADABLE, as `runTool` would throw it of a tool that needs nothing; undefined where it would run. */
export async function refusalOf(profile: Profile, folder: string): Promise<ClawmeshError | undefined> {
  try {
    const workspace = await realWorkspace(folder)
    const action = await toolRuntime({ needsSqlite: false })
    const writable = profile.write.map((path) => inWorkspace(path, workspace))
    planLaunch(profile, workspace, action, await findPlaces(grantedPaths(profile, workspace, action), writable))
    return undefined
  } catch (error) {
    return ClawmeshError.from(error)
  }
}
