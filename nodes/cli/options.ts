/** Options that several commands share, so that each means the same wherever it is typed. */
import { resolve } from 'node:path'
import { readConfig } from '../config.js'
import { type Option, text, type Values } from './command.js'

export const dataOption: Option = { type: 'string', value: 'DIR', help: 'the data folder of the mesh' }

export const jsonOption: Option = { type: 'boolean', help: 'print one JSON object' }

export const modelOption: Option = {
  type: 'string',
  value: 'DIR|URL|shipped',
  help: 'a model folder to serve, a model server on this machine (http://… OpenAI-compatible, grpc://HOST:8001/MODEL Triton), or the shipped model (default: a server that is found, else the shipped one)',
}

/** The data folder that `--data` names, or the person's own. */
export const dataFolder = (values: Values): string => resolve(text(values, 'data') ?? readConfig().data)
