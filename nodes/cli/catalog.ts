/** `clawmesh catalog FILE`: what a module of yours has for MCP clients, put before those of the mesh that runs here. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { ownTool } from '../agents/agent/own-tool.js'
import { notRunning, openLiveGround } from '../authority/live.js'
import { type Catalog, catalogTool, toolNameOf } from '../catalog/catalog.js'
import { serveCatalog } from '../catalog/host.js'
import { joinAsGuest } from '../member/guest.js'
import { workspaceOf } from '../member/offer.js'
import type { Command } from './command.js'
import { dataFolder, dataOption, jsonOption } from './options.js'
import { stopOnSignal } from './stop.js'
import { progress } from './terminal.js'

export const catalog: Command = {
  name: 'catalog',
  usage: 'FILE [--json]',
  help: 'Offers the tools, resources and prompts of a JavaScript module to the MCP clients of the mesh that runs here, until it is stopped. The module runs as a program of yours; examples/catalog.mjs is one.',
  options: { data: dataOption, json: jsonOption },
  takes: 'FILE',
  run: async (file, values) => {
    if (file === undefined)
      throw new ClawmeshError('USAGE', 'No module is named.', {
        hint: 'For example: `clawmesh catalog examples/catalog.mjs`',
      })
    const offered = await readCatalog(file)
    const data = dataFolder(values)
    const ground = await openLiveGround(data)
    if (!ground) throw notRunning(data)
    const stop = stopOnSignal()
    try {
      const { node, end } = await joinAsGuest(ground, data, ['supervisor'])
      try {
        await serveCatalog(node, offered, { workspace: workspaceOf(data, undefined) })
        const { name, tools = [], resources = [], prompts = [] } = offered
        const facts = {
          tools: tools.map(toolNameOf),
          resources: resources.map(({ uri }) => uri),
          prompts: prompts.map((prompt) => prompt.name),
        }
        if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, name, ...facts })}\n`)
        progress(`offering ${name} to MCP clients: ${Object.values(facts).flat().join(', ') || 'nothing'}`)
        await new Promise((done) => stop.signal.addEventListener('abort', done, { once: true }))
      } finally {
        await end()
      }
      return 0
    } finally {
      await ground.close()
    }
  },
}

/** Its default export is a catalog, or makes one of what it is handed. */
async function readCatalog(file: string): Promise<Catalog> {
  const given = await import(pathToFileURL(resolve(file)).href).then(
    (module: { default?: unknown }) => module.default,
    (cause: unknown) => {
      throw new ClawmeshError('USAGE', `${file} cannot be loaded: ${(cause as Error).message}`, { cause })
    },
  )
  const made: unknown = typeof given === 'function' ? await given({ catalogTool, ownTool, z }) : given
  const read = shapeSchema.safeParse(made)
  if (read.success) return made as Catalog
  throw new ClawmeshError('USAGE', `What ${file} exports is no catalog: ${z.prettifyError(read.error)}`, {
    hint: 'Its default export is one, or a function that makes one: examples/catalog.mjs.',
  })
}

/** Its functions are the module's own: that each is one is all that can be said before it is called. */
const isFunction = z.custom<object>((value) => typeof value === 'function', 'must be a function')
const described = { name: z.string(), description: z.string() }
const shapeSchema = z.strictObject({
  name: z.string(),
  tools: z
    .array(
      z.discriminatedUnion('kind', [
        z.looseObject({ kind: z.literal('catalog'), ...described, run: isFunction }),
        z.looseObject({ kind: z.literal('function'), program: isFunction }),
      ]),
    )
    .optional(),
  resources: z.array(z.looseObject({ ...described, uri: z.string(), read: isFunction })).optional(),
  prompts: z.array(z.looseObject({ ...described, say: isFunction })).optional(),
})
