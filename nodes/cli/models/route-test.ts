/** `clawmesh route test`: router rules held to the truth table beside them. */
import { existsSync, readFileSync } from 'node:fs'
import { readDocument } from '../../../policies/document.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { runRouterTable } from '../../../policies/router-table.js'
import { readRouterRules, shippedRouterRules } from '../../router-rules.js'
import type { Command } from '../command.js'
import { printable } from '../printable.js'

export const routeTest: Command = {
  name: 'route test',
  usage: '[FILE] [--json]',
  help: 'Holds router rules to the truth table beside them (NAME.test.yaml); without a name, those that ship.',
  options: { json: { type: 'boolean', help: 'print one JSON object for each row' } },
  takes: 'rules',
  run: async (named = shippedRouterRules, values) => {
    const beside = named.replace(/(\.ya?ml)?$/, '.test.yaml')
    const { rules } = readRouterRules(named)
    if (!existsSync(beside))
      throw new ClawmeshError('USAGE', `The rules ${named} have no truth table: there is no ${beside}.`, {
        hint: 'Write one: docs/router.md shows its form, examples/router has one.',
      })
    const rows = runRouterTable(rules, readDocument(readFileSync(beside, 'utf8'), beside))
    const wrong = rows.filter(({ answer, expected }) => answer !== expected)
    if (values['json'])
      for (const row of rows) say(JSON.stringify({ rules: named, ...row, ok: row.answer === row.expected }))
    else {
      for (const { line, about, expected, answer } of wrong)
        say(`${beside}:${line}: ${about}: expected ${expected}, is ${answer}`)
      say(`${named}: ${rows.length - wrong.length} of ${rows.length} rows hold`)
    }
    return wrong.length === 0 ? 0 : 1
  },
}

function say(line: string): void {
  process.stdout.write(`${printable(line)}\n`)
}
