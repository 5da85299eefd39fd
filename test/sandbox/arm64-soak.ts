/**
 * The launcher for the other processor: built for arm64 with every warning an error, and its numbers held to the kernel's headers, of arm64 and of this machine.
 * By the machine's own compiler where that is one for arm64, by `aarch64-linux-gnu-gcc` where it is installed, or else by Debian's, fetched and unpacked. Nothing
 * of it is run: what the layers do on arm64 is seen on an arm64 machine, by `npm test`.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpackPackages } from '../../mesh/broker/debian.js'
import { installation } from '../../mesh/installation.js'
import { cacheFolder } from '../../nodes/config.js'
import { headersProgram } from './kernel-headers.js'

interface Compiler {
  readonly program: string
  readonly flags: readonly string[]
  readonly env?: Record<string, string>
}

const say = (line: string) => process.stdout.write(`${line}\n`)

const sources = join(installation, 'sandbox', 'launcher')
const strict = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror']
/** Of an ELF file, e_machine. */
const machineAt = 18
const aarch64 = 183

export async function soakArm64(): Promise<boolean> {
  const compiler = await arm64Compiler()
  if (typeof compiler === 'string') {
    say(`not built for arm64 here: ${compiler}`)
    return false
  }
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-arm64-'))
  try {
    const launcher = readdirSync(sources).filter((name) => name.endsWith('.c'))
    const builds = [
      { name: 'clawmesh-sandbox', files: launcher },
      { name: 'probe', files: [join('probe', 'probe.c')] },
    ].map(({ name, files }) => {
      const made = join(folder, name)
      const paths = files.map((file) => join(sources, file))
      const isBuilt = compile(compiler, ['-static', '-o', made, ...paths], `${name} for arm64`)
      return isBuilt && readFileSync(made).readUInt16LE(machineAt) === aarch64
    })
    const numbers = join(folder, 'numbers.c')
    writeFileSync(numbers, numbersProgram())
    const calls = join(folder, 'calls.c')
    writeFileSync(calls, headersProgram('arm64'))
    const here: Compiler = { program: 'cc', flags: [] }
    const held = [
      compile(compiler, ['-fsyntax-only', '-I', sources, numbers], 'its numbers, by the headers of arm64'),
      compile(here, ['-fsyntax-only', '-I', sources, numbers], `its numbers, by the headers of ${process.arch}`),
      compile(compiler, ['-fsyntax-only', calls], 'the numbers of the filter of system calls, by the headers of arm64'),
    ]
    return [...builds, ...held].every(Boolean)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function compile({ program, flags, env }: Compiler, args: readonly string[], what: string): boolean {
  const { status, stderr, error } = spawnSync(program, [...strict, ...flags, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  const isGood = status === 0
  const untold = [...(stderr ?? '').matchAll(/#pragma message: (\w+) is newer/g)].map(([, name]) => name)
  say(`${isGood ? 'good' : 'BAD '} ${what}${untold.length > 0 ? `; newer than these: ${untold.join(', ')}` : ''}`)
  if (!isGood) say(error?.message ?? stderr)
  return isGood
}

/** Our own numbers of calls, and layouts, beside the kernel's. What headers are too old to have is told. */
function numbersProgram(): string {
  const names = [...readFileSync(join(sources, 'kernel.h'), 'utf8').matchAll(/^\s+NR_(\w+) = \d+,$/gm)].map(
    ([, name]) => name,
  )
  if (names.length < 10) throw new Error('kernel.h names its calls in another form')
  const numbers = names.map(
    (name) => `#ifdef __NR_${name}
_Static_assert(NR_${name} == __NR_${name}, "${name}");
#else
#pragma message("${name} is newer")
#endif`,
  )
  return `#include <asm/unistd.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include "kernel.h"
_Static_assert(sizeof(struct k_mount_attr) == sizeof(struct mount_attr), "mount_attr");
_Static_assert(sizeof(struct k_open_how) == sizeof(struct open_how), "open_how");
_Static_assert(sizeof(struct k_landlock_path) == sizeof(struct landlock_path_beneath_attr), "landlock_path_beneath_attr");
${numbers.join('\n')}
`
}

/** In words why there is none. */
async function arm64Compiler(): Promise<Compiler | string> {
  if (process.arch === 'arm64') return { program: 'cc', flags: [] }
  const installed = 'aarch64-linux-gnu-gcc'
  if (!spawnSync(installed, ['--version']).error) return { program: installed, flags: [] }
  const folder = join(cacheFolder(process.env), 'arm64-compiler')
  try {
    if (!existsSync(folder)) await fetchCompiler(folder)
  } catch (error) {
    return `it is not installed (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross), and cannot be fetched: ${(error as Error).message}`
  }
  const usr = join(folder, 'root', 'usr')
  const name = readdirSync(join(usr, 'bin')).find((each) => /^aarch64-linux-gnu-gcc-\d+$/.test(each))
  if (name === undefined) return 'what was fetched has no compiler in it'
  const [include, lib] = ['include', 'lib'].map((part) => join(usr, 'aarch64-linux-gnu', part)) as [string, string]
  return {
    program: join(usr, 'bin', name),
    flags: ['-isystem', include, `-L${lib}`, `-B${lib}`],
    env: { LD_LIBRARY_PATH: join(usr, 'lib', 'x86_64-linux-gnu') },
  }
}

async function fetchCompiler(folder: string): Promise<void> {
  // Which version is the distribution's own, its package of all versions says.
  const depends = execFileSync('apt-cache', ['depends', 'gcc-aarch64-linux-gnu'], { encoding: 'utf8' })
  const version = /Depends: gcc-(\d+)-aarch64-linux-gnu/.exec(depends)?.[1]
  if (version === undefined) throw new Error('this distribution has none')
  say("Fetching Debian's compiler for arm64 …")
  const fresh = `${folder}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  await unpackPackages(
    [
      `gcc-${version}-aarch64-linux-gnu`,
      `cpp-${version}-aarch64-linux-gnu`,
      'binutils-aarch64-linux-gnu',
      `libgcc-${version}-dev-arm64-cross`,
      'libgcc-s1-arm64-cross',
      'libc6-arm64-cross',
      'libc6-dev-arm64-cross',
      'linux-libc-dev-arm64-cross',
    ],
    fresh,
  )
  renameSync(fresh, folder)
}
