/** Options that several commands share, so that each means the same wherever it is typed. */
import { resolve } from 'node:path'
import { brokerCounts } from '../../mesh/broker/brokers.js'
import { ClawmeshError } from '../../policies/errors.js'
import { readConfig } from '../config.js'
import { type Option, text, type Values } from './command.js'

export const dataOption: Option = { type: 'string', value: 'DIR', help: 'the data folder of the mesh' }

export const jsonOption: Option = { type: 'boolean', help: 'print one JSON object' }

export const modelOption: Option = {
  type: 'string',
  value: 'DIR|URL|shipped|auto',
  help: 'a model folder to serve, a model server on this machine (http://… OpenAI-compatible, grpc://HOST:8001/MODEL Triton), or the shipped model (auto, the default: a server that is found, else the shipped one)',
}

/** Of a command that works on the mesh that runs here where one does. */
export const ownModelOption: Option = { ...modelOption, help: `on a mesh of its own: ${modelOption.help}` }

export const brokersOption: Option = {
  type: 'string',
  value: 'N',
  help: 'how many brokers keep what the mesh stores: with 3, any one of them can die (default: 1; settled when the mesh is made)',
}

/** Undefined: as many as the mesh has. */
export function readBrokers(values: Values): number | undefined {
  const given = text(values, 'brokers')
  if (given === undefined) return undefined
  const count = brokerCounts.find((known) => String(known) === given)
  if (count !== undefined) return count
  throw new ClawmeshError('USAGE', `"${given}" is no number of brokers.`, {
    hint: `Give --brokers ${brokerCounts.join(', ')}: an odd number, so that most of them are left when some die.`,
  })
}

export const subjectOption: Option = {
  type: 'string',
  value: 'NAME',
  help: 'whom it is about: what is recorded of it can be erased under this name (default: your name on this machine)',
}

/** The data folder that `--data` names, or the person's own. */
export const dataFolder = (values: Values): string => resolve(text(values, 'data') ?? readConfig().data)
