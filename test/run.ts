/**
 * Runs the tests: `npm test` those that a change is to be tried by, `npm test -- long` the whole commands and matrices that take longer, `npm test -- mesh audit` all
 * whose path contains one of the words. Files run three at a time, each in a
 * process of its own: on two cores, one that waits leaves its core to another.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../mesh/installation.js'

const words = process.argv.slice(2)
const files = readdirSync(join(installation, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts') && isWanted(path))
  .sort()
  .map((path) => join('dist', 'test', path.replace(/\.ts$/, '.js')))

if (files.length === 0) {
  process.stderr.write(`No test file's path contains ${words.join(' or ')}.\n`)
  process.exit(2)
}
const flags = [
  '--test',
  '--test-concurrency=3',
  '--test-timeout=900000',
  '--test-reporter=spec',
  '--enable-source-maps',
]
const { status } = spawnSync(process.execPath, [...flags, ...files], { cwd: installation, stdio: ['ignore', 1, 2] })
process.exit(status ?? 1)

function isWanted(path: string): boolean {
  return words.length === 0 ? !path.endsWith('.long.test.ts') : words.some((word) => path.includes(word))
}
