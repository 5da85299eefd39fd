import { type ToolSpec, toolSpecSchema } from '../../inference/tool.js'
import { toolSpecs } from '../../sandbox/index.js'

/** The sandbox's tools as a model is offered them. */
export const offeredTools: ToolSpec[] = toolSpecs.map((spec) => toolSpecSchema.parse(spec))
