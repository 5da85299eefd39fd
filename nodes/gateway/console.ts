/** The files of the console, as they lie in this clone: no build, nothing from elsewhere. */
import { readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { FastifyReply } from 'fastify'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export const consoleFolder = join(installation, 'nodes', 'gateway', 'console')

/** `name` is one word and an ending: the route takes no other. Throws NOT_FOUND. */
export function sendConsole(reply: FastifyReply, name: string): FastifyReply {
  const type = types[extname(name)]
  try {
    if (type) return reply.type(type).send(readFileSync(join(consoleFolder, name)))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  throw new ClawmeshError('NOT_FOUND', `The console has no file ${name}.`)
}
