/**
 * Tools run with nothing but what a profile grants.
 *
 *     const outcome = await runTool({ tool: 'count_lines', args: { path: 'notes.txt' }, workspace, profile: parseProfile(yaml) })
 *     if (outcome.status === 'done') outcome.result.summary // '12 lines'
 */

export type { Answer } from './answer.js'
export { type Availability, sandboxAvailability } from './availability.js'
export { Egress, type EgressHooks, type EgressOptions, type NetworkFacts } from './egress/egress.js'
export { type Resolve, resolver } from './egress/resolve.js'
export { type ActionOutcome, type LaunchOptions, launch } from './launch.js'
export { Opens, type OpensHooks } from './opens/opens.js'
export type { ToolOutcome, Usage } from './outcome.js'
export { findPlace, findPlaces, type Place } from './place.js'
export { type Action, grantedPaths, type LaunchPlan, planLaunch } from './plan.js'
export { Pool, type PoolOptions } from './pool.js'
export { loadProfile, presetNames } from './preset.js'
export { type Intent, type Question, runTool, type ToolCall } from './run.js'
export type { ToolName, ToolResult } from './tools/actions.js'
export { type GeneralToolName, generalSpecs, generalTools } from './tools/general.js'
export { defineTool, type Tool, type ToolSpec, toolSpec } from './tools/tool.js'
export { findTool, toolSpecs, tools } from './tools/tools.js'
