/** All that is in attempts/, compiled into one program. */
import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { installation } from '../../../mesh/installation.js'

const sources = join(installation, 'test', 'attack', 'sandbox', 'attempts')

export async function attemptNames(): Promise<string[]> {
  return (await readdir(sources)).filter((name) => name.endsWith('.c')).map((name) => basename(name, '.c'))
}

/** The compiled program takes an attempt's name, the target, the workspace and one more word. */
export async function compileAttempts(folder: string): Promise<string> {
  const names = await attemptNames()
  const identifier = (name: string) => `attempt_${name.replaceAll('-', '_')}`
  const program = [
    '#define ALL_ATTEMPTS',
    ...names.flatMap((name) => [`#define attempt ${identifier(name)}`, `#include "${name}.c"`, '#undef attempt']),
    'int main(int count, char **arguments) {',
    '  if (count == 2 && strcmp(arguments[1], LANDED) == 0) return 0;',
    '  if (count < 5) return 2;',
    ...names.map(
      (name) =>
        `  if (strcmp(arguments[1], "${name}") == 0) return ${identifier(name)}(arguments[2], arguments[3], arguments[4]) ? 0 : 1;`,
    ),
    '  return 2;',
    '}',
  ].join('\n')
  const source = join(folder, 'attempts.c')
  const binary = join(folder, 'attempts')
  await writeFile(source, program)
  await promisify(execFile)('cc', [
    '-std=gnu11',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-static',
    '-pthread',
    '-I',
    sources,
    '-o',
    binary,
    source,
  ])
  return binary
}
