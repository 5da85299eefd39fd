// Makes a clone ready: installs what package-lock.json names and compiles what has changed. Plain JavaScript without
// dependencies, because nothing else exists yet when it runs. Safe to run twice at once: one waits for the other.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { takeLock } from './lock.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const dist = join(root, 'dist')
const stamp = join(modules, '.clawmesh-installed')
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(process.version)
  .digest('hex')

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 11))
  fail(`Node ${process.version} is too old: clawmesh needs 20.11 or newer.`)

// Newer Nodes look for certificate authorities in the system's store, where an organisation puts its own, only when told to.
const trust = process.allowedNodeEnvironmentFlags.has('--use-system-ca')
  ? { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --use-system-ca`.trim() }
  : {}

// Of onnxruntime-node, whose own install step fetches CUDA files: npm passes the same setting of .npmrc on only until version 12.
const noCuda = { ONNXRUNTIME_NODE_INSTALL: process.env.ONNXRUNTIME_NODE_INSTALL ?? 'skip' }

lockSetup(join(root, '.setup.lock'))
if (!installed()) {
  say('Installing dependencies (about 600 MB on disk, once) …')
  // `npm ci` runs our install script too, which compiles the sandbox launcher.
  run('Installed the dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], noCuda)
  writeFileSync(stamp, wanted)
}
run('Built the sandbox launcher', process.execPath, [join(root, 'sandbox', 'launcher', 'build.mjs')])
compile()

function installed() {
  return holds(stamp, wanted)
}

/** The compiler takes seconds even to find that nothing is to be done; looking at names, sizes and times takes none. */
function compile() {
  const compiled = join(dist, '.clawmesh-compiled')
  const sources = sourceFiles()
  const look = lookOf(sources)
  const isWhole = sources
    .filter((path) => /(?<!\.d)\.ts$/.test(path))
    .every((path) => existsSync(join(dist, path.replace(/ts$/, 'js'))))
  if (isWhole && holds(compiled, look)) return
  // Of a source with errors the compiler writes something too, which must not be taken for compiled when an old source is put back.
  rmSync(compiled, { force: true })
  // It makes nothing again that it remembers to have made, whether or not that is still there.
  if (!isWhole) rmSync(join(dist, '.tsbuildinfo'), { force: true })
  run('Compiled clawmesh', process.execPath, [join(modules, 'typescript', 'bin', 'tsc'), '-p', root])
  removeOrphans()
  writeFileSync(compiled, look)
}

function lookOf(sources) {
  const look = createHash('sha256')
    .update(wanted)
    .update(readFileSync(join(root, 'tsconfig.json')))
  for (const path of sources) {
    const { size, mtimeMs } = statSync(join(root, path))
    look.update(JSON.stringify([path, size, mtimeMs]))
  }
  return look.digest('hex')
}

/** What was compiled of a source that is gone would still be found by its name. */
function removeOrphans() {
  if (!isFolder(dist)) return
  for (const path of compiledFolders().flatMap((folder) => filesBelow(dist, folder, '.js')))
    if (!existsSync(join(root, path.replace(/js$/, 'ts')))) rmSync(join(dist, path))
}

/** With the plain JavaScript, some of which is compiled too. */
function sourceFiles() {
  return compiledFolders()
    .flatMap((folder) => [...filesBelow(root, folder, '.ts'), ...filesBelow(root, folder, '.mjs')])
    .sort()
}

function compiledFolders() {
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
  return include.map((pattern) => pattern.split('/')[0])
}

/** By their paths from `top` on. What a link leads to is no part of the clone: it is neither looked at nor removed. */
function filesBelow(top, folder, ending) {
  if (!isFolder(join(top, folder))) return []
  return readdirSync(join(top, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesBelow(top, path, ending)
    return entry.isFile() && path.endsWith(ending) ? [path] : []
  })
}

function isFolder(path) {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function holds(file, content) {
  return existsSync(file) && readFileSync(file, 'utf8') === content
}

/** `done` is said of what took its time. */
function run(done, command, args, more = {}) {
  const started = Date.now()
  // Output goes to stderr: the last line of stdout belongs to the command that follows.
  const ended = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...trust, ...more },
  })
  if (ended.error) fail(`Could not run ${command}: ${ended.error.message}`)
  if (ended.status !== 0) fail(`${command} ${args.join(' ')} ended with status ${ended.status ?? ended.signal}.`)
  const seconds = Math.round((Date.now() - started) / 1000)
  if (seconds >= 3) say(`${done} in ${seconds} s.`)
}

/** Waits for another setup in this folder; one that died is not waited for. */
function lockSetup(path) {
  for (let waited = false; ; waited = true) {
    const lock = tryLock(path)
    if ('release' in lock) {
      process.once('exit', () => lock.release())
      return
    }
    if (!waited) say(`Another setup is at work in this folder (process ${lock.holder}); waiting for it …`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function tryLock(path) {
  try {
    return takeLock(path)
  } catch (error) {
    fail(`This folder cannot be written: ${error.message}`)
  }
}

function say(text) {
  process.stderr.write(`${text}\n`)
}

function fail(text) {
  say(`Setup failed. ${text}`)
  process.exit(1)
}
