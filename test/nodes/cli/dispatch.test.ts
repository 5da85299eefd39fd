/** The one table of commands: what is typed wrongly is a usage error of every command, and shells complete from it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../../mesh/installation.js'
import { asTyped } from '../../../nodes/cli/as-typed.js'
import { allCommands, chapters } from '../../../nodes/cli/commands.js'
import { following } from '../../../nodes/cli/completion.js'
import { dispatch } from '../../../nodes/cli/dispatch.js'
import { pageOf } from '../../../nodes/cli/page.js'
import { runningData } from '../../../nodes/member/onlooker.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { program, runCommand } from '../../kit/command.js'
import { temporaryFolder } from '../../kit/mesh.js'

const commands = await allCommands()
const nowhere = join(temporaryFolder(), 'none')

const isUsage = (error: unknown): true => {
  assert.ok(error instanceof ClawmeshError, String(error))
  assert.equal(error.exitStatus, 2, error.message)
  assert.notEqual(error.hint, '', error.message)
  return true
}

describe('every command', () => {
  for (const { name, usage, options, takes } of commands)
    it(`${name}: what is typed wrongly ends with status 2 and a hint, before anything is done`, async () => {
      const words = name.split(' ')
      const data = 'data' in options ? ['--data', nowhere] : []
      await assert.rejects(dispatch([...words, '--no-such-option']), isUsage)
      for (const [option, { type }] of Object.entries(options)) {
        if (type === 'string') await assert.rejects(dispatch([...words, `--${option}`, '']), isUsage, option)
        else await assert.rejects(dispatch([...words, `--${option}=1`]), isUsage, option)
      }
      if (takes === undefined) await assert.rejects(dispatch([...words, 'one']), isUsage)
      else {
        await assert.rejects(dispatch([...words, 'one', 'two']), isUsage)
        if (!usage.startsWith('[')) await assert.rejects(dispatch([...words, ...data]), isUsage)
      }
      const isMade = existsSync(nowhere)
      rmSync(nowhere, { recursive: true, force: true })
      assert.equal(isMade, false, 'a data folder was made')
    })
})

it('what may be used is more than nothing, and no number that begins with a minus is taken for an option', async () => {
  for (const typed of [['--cost', '-3'], ['--cost=-3'], ['--cost', '0'], ['--cost=0.00']])
    await assert.rejects(
      dispatch(['start', 'one', '--data', nowhere, ...typed]),
      /^\w*Error: --cost "[-0-9.]+" is no amount of money\.$/,
    )
  await assert.rejects(
    dispatch(['debate', 'one', '--data', nowhere, '--agents', '-3']),
    /--agents takes a whole number from 1 to 64, not "-3"/,
  )
})

it('a mesh that does not run is started by `up`, and a node that joined one by `join`', () => {
  const [made, joined] = [join(nowhere, 'made'), join(nowhere, 'joined')]
  for (const file of [join(made, 'authority', 'authority.json'), join(joined, 'nodes', 'n', 'credentials.json')]) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, '{}')
  }
  try {
    const hinted = (data: string, hint: RegExp) =>
      assert.throws(
        () => runningData(data),
        (error: ClawmeshError) => hint.test(error.hint),
      )
    hinted(made, /^Start it: `clawmesh up`\.$/)
    hinted(joined, /^Start it: `clawmesh join`\.$/)
    hinted(join(nowhere, 'none'), /Make a mesh .* or join one/)
  } finally {
    rmSync(nowhere, { recursive: true, force: true })
  }
})

it('every command speaks JSON, but for the one whose output is a protocol of JSON', () => {
  const silent = commands.filter(({ options }) => options['json']?.type !== 'boolean').map(({ name }) => name)
  assert.deepEqual(silent, ['mcp'])
})

it('is on the page of all commands, which is made of the table', () => {
  const page = readFileSync(join(installation, 'docs', 'commands.md'), 'utf8')
  assert.ok(page === pageOf(commands), 'it is made anew by: clawmesh help commands > docs/commands.md')
})

it('is in the help once, by its first word, unless it has another name now', () => {
  const shown = chapters.flatMap(([, words]) => Object.keys(words)).sort()
  const wanted = new Set(commands.filter(({ old }) => !old).map(({ name }) => name.split(' ')[0] ?? ''))
  assert.deepEqual(shown, [...wanted].sort())
})

it('says of a file or an address that it cannot use which one it is, and does nothing', async () => {
  const folder = temporaryFolder()
  const export_ = ['audit', 'export', '--data', nowhere, '--to']
  const key = 'a'.repeat(64)
  for (const words of [
    [...export_, folder],
    [...export_, '/dev/null'],
    [...export_, join(folder, 'none', 'x')],
    [...export_, 'http://'],
    [...export_, 'http:host'],
    [...export_, 'http://127.0.0.1:1/x', '--token-file', join(folder, 'none')],
    [...export_, 'http://127.0.0.1:1/x', '--state', folder],
    ['audit', 'verify', '--export', folder, '--root', key],
    ['audit', 'verify', '--proof', folder, '--root', key],
    ['costs', '--prices', folder],
    ['costs', '--prices', join(folder, 'none')],
  ])
    await assert.rejects(dispatch(words), isUsage, words.join(' '))
})

it('ends with the status that its outcome has: 2 usage, 4 unavailable, in words and as JSON', async () => {
  const [usage, unavailable] = await Promise.all([
    runCommand(['whoami', '--data', nowhere, '--json']),
    runCommand(['invite', '--data', nowhere, '--json']),
  ])
  assert.deepEqual([usage.status, unavailable.status], [2, 4])
  for (const { lastLine } of [usage, unavailable]) assert.equal(JSON.parse(lastLine).ok, false)
})

it('ends in words, and not in a stack of Node, where the folder that it was typed in cannot be entered', async () => {
  const { status, stderr } = await runCommand(['--version'], { env: { INIT_CWD: program }, cwd: installation })
  assert.equal(status, 1)
  assert.match(stderr, /^clawmesh: ENOTDIR: .+\n {2}.+\n$/)
})

describe('a command that a message names', () => {
  const data = "it's here"
  const shown = ` --data 'it'\\''s here'`

  it('names the data folder that was typed, if it is about a mesh', () => {
    for (const { name, options } of commands.filter(({ old }) => !old))
      assert.equal(
        asTyped(`\`clawmesh ${name} x\`.`, { typedIn: undefined, data, debug: false }),
        `\`clawmesh ${name} x${'data' in options ? shown : ''}\`.`,
      )
  })

  it('names none where one is named, none for another machine, and is typed through npm where this one was', () => {
    const typed = (text: string) => asTyped(text, { typedIn: '/home/ada', data, debug: false })
    assert.equal(typed('Have `clawmesh up --data DIR` run.'), 'Have `npm run clawmesh -- up --data DIR` run.')
    assert.equal(typed('Where it runs: clawmesh invite.'), 'Where it runs: npm run clawmesh -- invite.')
    assert.equal(typed('See clawmesh up --help.'), 'See npm run clawmesh -- up --help.')
  })

  it('stands so in what a command prints', async () => {
    const folder = join(temporaryFolder(), 'a mesh')
    const { stderr } = await runCommand(['invite', `--data=${folder}`])
    assert.ok(stderr.includes(`\`clawmesh up --data '${folder}'\``), stderr)
  })
})

describe('completion', () => {
  const complete = (shell: string, ...words: string[]): string[] => {
    const script = `eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _clawmesh; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr, status } = spawnSync('bash', ['-c', script, 'bash', shell, 'clawmesh', ...words], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    return stdout.split('\n').filter(Boolean)
  }

  it('offers in bash what the table has', async () => {
    const { stdout } = await runCommand(['completion', 'bash'])
    assert.deepEqual(complete(stdout, 'polic'), ['policy'])
    assert.deepEqual(complete(stdout, 'policy', '').sort(), ['apply', 'diff', 'explain', 'history', 'rollback', 'test'])
    assert.deepEqual(complete(stdout, 'models', 'provider', 'a'), ['add'])
    assert.deepEqual(complete(stdout, 'audit', 'export', '--rot'), ['--rotate'])
    assert.deepEqual(complete(stdout, 'audit', 'export', '--format', ''), ['jsonl', 'ocsf'])
    assert.deepEqual(complete(stdout, 'tasks', 'show', 'abc', '--j'), ['--json'])
    // Earlier spellings work and are not offered.
    assert.deepEqual(complete(stdout, 'gatew'), [])
  })

  it('has every command that is shown, and each of its options', () => {
    const words = following(commands.filter(({ old }) => !old))
    for (const { name, options, old } of commands)
      if (!old) for (const option of Object.keys(options)) assert.ok(words.get(name)?.includes(`--${option}`), name)
  })
})
