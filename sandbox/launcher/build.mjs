// Compiles the launcher when a source is newer than it. Plain JavaScript without dependencies: `npm install` runs it, and so does
// every start. It never fails a machine that cannot have a sandbox: it writes build/unavailable.json, and the sandbox role is then
// refused with that text. Two at once are harmless, because each compiles under a name of its own and renames.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const build = join(here, 'build')
const unavailable = join(build, 'unavailable.json')
const programs = [
  { name: 'clawmesh-sandbox', sources: readdirSync(here).filter((name) => name.endsWith('.c')) },
  { name: 'probe', sources: ['probe/probe.c'] },
]
const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror']

mkdirSync(build, { recursive: true })
const problem = supported() ?? compileAll()
if (problem) writeAtomically(unavailable, `${JSON.stringify(problem)}\n`)
else rmSync(unavailable, { force: true })

function supported() {
  if (process.platform !== 'linux')
    return {
      reason: `${process.platform} has no Landlock and no seccomp`,
      hint: 'Run the sandbox role on a Linux machine.',
    }
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    return { reason: `the launcher does not know ${process.arch}`, hint: 'Run the sandbox role on x86_64 or aarch64.' }
  return undefined
}

function compileAll() {
  const stale = programs.filter(({ name, sources }) => olderThan(join(build, name), sources))
  if (stale.length === 0) return undefined
  const compiler = ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0)
  if (!compiler)
    return {
      reason: 'no C compiler was found',
      hint: "Install one (Debian: 'apt install gcc libc6-dev') and start again.",
    }
  for (const { name, sources } of stale) {
    const error = compile(compiler, name, sources)
    if (error)
      return {
        reason: `${compiler} could not build ${name}: ${error}`,
        hint: 'Install the C library headers (Debian: libc6-dev) and start again.',
      }
  }
  return undefined
}

/** Static where the C library allows it: such a program starts faster and needs nothing of the machine. */
function compile(compiler, name, sources) {
  const made = join(build, `${name}.${process.pid}`)
  const paths = sources.map((source) => join(here, source))
  let done
  for (const linking of [['-static'], []]) {
    done = spawnSync(compiler, [...flags, ...linking, '-o', made, ...paths], { encoding: 'utf8' })
    if (done.status !== 0) continue
    renameSync(made, join(build, name))
    return undefined
  }
  rmSync(made, { force: true })
  return done.error?.message ?? done.stderr.trim().split('\n').slice(0, 3).join(' ')
}

function olderThan(program, sources) {
  const built = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const headers = readdirSync(here).filter((name) => name.endsWith('.h'))
  return ['build.mjs', ...headers, ...sources].some((name) => statSync(join(here, name)).mtimeMs > built)
}

function writeAtomically(path, text) {
  writeFileSync(`${path}.${process.pid}`, text)
  renameSync(`${path}.${process.pid}`, path)
}
