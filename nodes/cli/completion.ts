/** `clawmesh completion SHELL`: what a shell needs to complete commands and options, made of the table that help and dispatch read. */
import { ClawmeshError } from '../../policies/errors.js'
import type { Command, Option } from './command.js'
import { jsonOption } from './options.js'

const shells = ['bash', 'zsh', 'fish'] as const

/** @param everyCommand the table, which holds this command too */
export const completionOf = (everyCommand: () => Promise<Command[]>): Command => ({
  name: 'completion',
  usage: `${shells.join('|')} [--json]`,
  help: 'Prints what makes a shell complete clawmesh: eval "$(clawmesh completion bash)" in its start file.',
  options: { json: jsonOption },
  takes: 'shell',
  run: async (given, values) => {
    const shell = shells.find((name) => name === given)
    if (!shell)
      throw new ClawmeshError('USAGE', given === undefined ? 'Which shell?' : `"${given}" is no shell that is known.`, {
        hint: `\`clawmesh completion ${shells.join('|')}\``,
      })
    const commands = (await everyCommand()).filter(({ old }) => !old)
    const script = shell === 'fish' ? fishOf(commands) : bashOf(commands, shell === 'zsh')
    process.stdout.write(values['json'] ? `${JSON.stringify({ ok: true, shell, script })}\n` : script)
    return 0
  },
})

/** What may follow each word or words: the next word of a command, or an option of it. */
export function following(commands: readonly Command[]): Map<string, string[]> {
  const words = new Map<string, Set<string>>([['', new Set(['help'])]])
  const add = (before: string, word: string) => words.set(before, (words.get(before) ?? new Set()).add(word))
  for (const { name, options } of commands) {
    const parts = name.split(' ')
    for (const [index, part] of parts.entries()) add(parts.slice(0, index).join(' '), part)
    for (const option of [...Object.keys(options), 'help']) add(name, `--${option}`)
  }
  return new Map([...words].map(([before, next]) => [before, [...next]]))
}

/** The words that an option takes, where its help names them: "jsonl|ocsf". Others take what only the person knows, or a file. */
const choices = ({ value = '' }: Option): string[] =>
  /^[a-z0-9-]+(\|[a-z0-9-]+)+$/.test(value) ? value.split('|') : []

function bashOf(commands: readonly Command[], isZsh: boolean): string {
  const valued = new Map<string, string>()
  for (const { options } of commands)
    for (const [name, option] of Object.entries(options))
      if (option.type === 'string')
        valued.set(`--${name}`, choices(option).join(' ') || (valued.get(`--${name}`) ?? ''))
  const cases = [...following(commands)].map(
    ([before, words]) => `    ${quoted(before)}) words=${quoted(words.join(' '))} ;;`,
  )
  const values = [...valued].map(([option, words]) => `    ${option}) words=${quoted(words)}; files=1 ;;`)
  return `# Completion of clawmesh, made of its own table of commands.
${isZsh ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_clawmesh() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="" words="" files="" word next
  local index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    next="\${before:+$before }$word"
    case "$next" in
${[...following(commands).keys()]
  .filter(Boolean)
  .map((path) => `      ${quoted(path)}) before="$next" ;;`)
  .join('\n')}
    esac
  done
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
    *) case "$before" in
${cases.join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ -n "$files" ] && [ -z "$words" ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o default -F _clawmesh clawmesh
`
}

function fishOf(commands: readonly Command[]): string {
  const lines = [...following(commands)].flatMap(([before, words]) =>
    words.map((word) => {
      const when = `-n '__clawmesh_at ${quotedFish(before)}'`
      const [said] = commands.filter(({ name }) => name === `${before} ${word}`.trim())
      const what = said ? ` -d ${quotedFish(said.help)}` : ''
      return word.startsWith('--')
        ? `complete -c clawmesh ${when} -l ${word.slice(2)}`
        : `complete -c clawmesh -f ${when} -a ${word}${what}`
    }),
  )
  return `# Completion of clawmesh, made of its own table of commands.
function __clawmesh_at
  set -l typed (commandline -opc | string match -v -- '-*')
  test "$typed[2..-1]" = "$argv"
end
${lines.join('\n')}
`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const quotedFish = (text: string): string => (text === '' ? '' : `'${text.replace(/[\\']/g, '\\$&')}'`)
