/** The options by which a person says what a task may use. */
import { ClawmeshError } from '../../../policies/errors.js'
import type { Allowed } from '../../agents/job/take-up.js'
import { type Command, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'

export const allowedOptions: Command['options'] = {
  tokens: {
    type: 'string',
    value: 'N',
    help: 'most tokens that its task may use of models (default: as many as it takes). A part or a vote sets aside what it may take at most before it is begun',
  },
  cost: {
    type: 'string',
    value: 'AMOUNT',
    help: 'most money that its task may cost, in the currency of the price table (default: as much as it takes). Set aside in the same way; a model without a price is not asked',
  },
  time: {
    type: 'string',
    value: 'TIME',
    help: 'how long its task may take in all, for example 15m (default: as long as it takes). The end stands in its journal, and no crash puts it off',
  },
  prices: {
    type: 'string',
    value: 'FILE',
    help: 'the price table for --cost (default: policies/prices.yaml, examples to be edited)',
  },
}

/** Undefined where nothing is said. Throws USAGE for what is no amount. */
export function readAllowed(values: Values): Allowed | undefined {
  const [tokens, money, time] = ['tokens', 'cost', 'time'].map((name) => text(values, name))
  if (tokens === undefined && money === undefined && time === undefined) return undefined
  const budget = {
    ...(tokens === undefined ? {} : { tokens: readTokens(tokens) }),
    ...(money === undefined ? {} : { money: readMoney(money) }),
  }
  return {
    ...(Object.keys(budget).length > 0 ? { budget } : {}),
    ...(time === undefined ? {} : { ms: readDuration(time, 'time') }),
  }
}

function readTokens(given: string): number {
  if (/^[1-9]\d{0,11}$/.test(given)) return Number(given)
  throw new ClawmeshError('USAGE', `--tokens "${given}" is no number of tokens.`, {
    hint: 'For example --tokens 50000.',
  })
}

function readMoney(given: string): number {
  if (/^\d{1,9}(\.\d{1,9})?$/.test(given) && Number(given) > 0) return Number(given)
  throw new ClawmeshError('USAGE', `--cost "${given}" is no amount of money.`, {
    hint: 'It is more than nothing: for example --cost 0.25, in the currency of the price table.',
  })
}
