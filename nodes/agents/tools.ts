import { type ToolSpec, toolSpecSchema } from '../../inference/tool.js'
import { generalSpecs, toolSpecs } from '../../sandbox/index.js'

/** The closed set of the sandbox's tools as a model is offered them. */
export const offeredTools: ToolSpec[] = toolSpecs.map((spec) => toolSpecSchema.parse(spec))

/** The general ones, which the model that ships does not know. */
export const generalTools: ToolSpec[] = generalSpecs.map((spec) => toolSpecSchema.parse(spec))
