/** The page of all commands, docs/commands.md: made of the table that help, dispatch and completion read. Pure. */
import type { Command } from './command.js'

/** @param commands all of them, in the order of the table; earlier spellings are left out */
export function pageOf(commands: readonly Command[]): string {
  const shown = commands.filter(({ old }) => !old)
  const words = [...new Set(shown.map(({ name }) => name.split(' ')[0] ?? ''))]
  const sections = words.map((word) => {
    const family = shown.filter(({ name }) => name.split(' ')[0] === word)
    return [`## ${word}`, ...family.map(partOf)].join('\n\n')
  })
  return `${[
    '# Commands',
    'Made of the table of commands by `clawmesh help commands`; a test holds this page to it. [cli.md](cli.md) says what all of them have in common.',
    ...sections,
  ].join('\n\n')}\n`
}

function partOf({ name, usage, help, options }: Command): string {
  const rows = Object.entries(options).map(
    ([option, { value, help: text }]) => `| ${code(`--${option}${value ? ` ${value}` : ''}`)} | ${cell(text)} |`,
  )
  const table = rows.length > 0 ? ['', '| option | |', '|---|---|', ...rows] : []
  return [`    clawmesh ${name}${usage ? ` ${usage}` : ''}`, '', help, ...table].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const code = (text: string): string => `\`${cell(text)}\``
