/**
 * Runs the tests: `npm test` those that a change is to be tried by, `npm test -- long` the whole commands and matrices that take longer, `npm test -- mesh audit` all
 * whose path contains one of the words. Files run three at a time, each in a
 * process of its own: on two cores, one that waits leaves its core to another.
 *
 * `npm test -- again` runs the files in which something failed the last time, one at a time: what passes then depends on how busy the machine is, which is a fault of the test
 * or of the product, and not of the change that is tried. More than a few at once are no accident, and are not run again.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { installation } from '../mesh/installation.js'
import { undisturbed } from './kit/undisturbed.js'

const mostAgain = 3
const failed = join('dist', 'test', 'failed.txt')
const words = process.argv.slice(2)
const isAgain = words[0] === 'again'
const files = isAgain ? filesThatFailed() : filesOf(words)

if (files.length === 0) {
  process.stderr.write(
    isAgain ? 'No test failed the last time.\n' : `No test file's path contains ${words.join(' or ')}.\n`,
  )
  process.exit(2)
}
if (isAgain && files.length > mostAgain) {
  process.stderr.write(`In ${files.length} files something failed: that is no accident.\n`)
  process.exit(1)
}
const flags = [
  '--test',
  `--test-concurrency=${isAgain ? 1 : 3}`,
  '--test-timeout=900000',
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  `--test-reporter=${join(installation, 'dist', 'test', 'failures.js')}`,
  `--test-reporter-destination=${failed}`,
  '--enable-source-maps',
]
// Some load graphs by themselves, and some run the whole command.
const env = { ...process.env, ...undisturbed }
const { status } = spawnSync(process.execPath, [...flags, ...files], {
  cwd: installation,
  env,
  stdio: ['ignore', 1, 2],
})
// Cut short, it has not come to all of them.
if (status !== 1) rmSync(join(installation, failed), { force: true })
process.exit(status ?? 1)

function filesOf(words: readonly string[]): string[] {
  const isWanted = (path: string) =>
    words.length === 0 ? !path.endsWith('.long.test.ts') : words.some((word) => path.includes(word))
  return readdirSync(join(installation, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && isWanted(path))
    .sort()
    .map((path) => join('dist', 'test', path.replace(/\.ts$/, '.js')))
}

/** The runner names where a test is written, in TypeScript: of a suite that several files run, not the file that ran it. So all that use it are run. */
function filesThatFailed(): string[] {
  const list = join(installation, failed)
  if (!existsSync(list)) return []
  const lines = readFileSync(list, 'utf8').split('\n').filter(Boolean)
  const compiled = (path: string) =>
    join(
      'dist',
      relative(installation, path)
        .replace(/^dist\//, '')
        .replace(/\.ts$/, '.js'),
    )
  const running = (path: string) => (path.endsWith('.test.js') ? [path] : usersOf(path))
  return [...new Set(lines.map(compiled).flatMap(running))].sort()
}

function usersOf(suite: string): string[] {
  const name = `${basename(dirname(suite))}/${basename(suite)}'`
  const users = filesOf(['.test.ts']).filter((path) => readFileSync(join(installation, path), 'utf8').includes(name))
  if (users.length > 0) return users
  process.stderr.write(`Something failed in ${suite}, and which test runs that is not known.\n`)
  process.exit(1)
}
