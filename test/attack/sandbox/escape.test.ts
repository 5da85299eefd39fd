import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ClawmeshError } from '../../../policies/errors.js'
import { parseProfile } from '../../../policies/profile.js'
import { launch } from '../../../sandbox/launch.js'
import { Opens } from '../../../sandbox/opens/opens.js'
import { mostQuestions } from '../../../sandbox/patience.js'
import type { LaunchPlan } from '../../../sandbox/plan.js'
import { newStage, plan, pool } from '../../sandbox/stage.js'
import { attemptNames, compileAttempts } from './attempts.js'
import { openSites, type Sites } from './sites.js'

const root = process.geteuid?.() === 0
const names = await attemptNames()

/** Not shown to get through outside, and why. */
const onlyInside: Record<string, string | false> = {
  'raise-limit': 'it takes a capability that even root may lack',
  'proc-root': !root && 'only root may look into process 1',
  'old-architecture': process.arch !== 'x64' && 'there is one on x86_64 only',
}

/** No packet of a test goes to where these lead. */
const neverOutside = ['metadata', 'private-address', 'link-local-address', 'shared-address'].map(
  (name) => `network-${name}`,
)

/** Not every kernel has them, and not every user may use them. */
const maybeOutside = [
  'raw',
  'packet',
  'vsock',
  'kernel-crypto',
  'multipath',
  'ping',
  'udp-lite',
  'sctp',
  'version-6',
  'version-6-udp',
]
  .map((name) => `network-${name}-socket`)
  .concat(
    'network-mapped-address',
    'network-mapped-on-old-socket',
    'network-signed-segments',
    'network-attach-filter',
    'network-route-option',
  )

/** What is kept read-only in the writable workspace of an attempt. */
const kept: Record<string, string> = {
  'rename-parent-of-read-only': './kept/inner',
  'make-missing-read-only': './kept/inner',
  'name-into-read-only': './kept/inner',
}

/** Not even started: what is to be kept is not there to be held. */
const refused = ['make-missing-read-only']

/** Where nothing is the action's own: /tmp is another one in each sandbox. */
const outsideOfTmp = '/var/tmp'

/** Race with what a person allows. */
const toWhatIsAllowed = [
  'open-racing-path',
  'open-racing-link',
  'open-truncate-racing-path',
  'name-racing-path',
  'name-move-racing-path',
  'name-move-racing-kind',
  'name-link-racing-path',
  'name-mode-racing-path',
  'name-times-racing-path',
  'name-folder-racing-path',
]

/** What is allowed may be written, too. */
const writing = ['open-truncate-racing-path']

/** While a person is asked about a rename, somebody else puts a file at the new name. */
const appearing = ['name-appearing-target']

/** Have a folder of programs beside the workspace, and a person who lets all of it be written. */
const ofPrograms = ['open-written-program']

/** Go by what nobody need be asked about, or nobody may be. */
const unaskedOf = ['open-place-first', 'open-proc-root', 'name-exchange', ...ofPrograms]

const askForAll = 'ask: [{ read: / }, { write: / }]\n'

/** A person who lets `allowed` be read, have any mode and times, and be or become `allowed.moved` and two names in the workspace; the same of a folder; and nothing else. */
function opensFor(
  name: string,
  plan: LaunchPlan,
  policy: string,
  workspace: string,
  allowed: string,
  asked: string[],
  opened: unknown[],
): Opens {
  const folder = `${allowed}.folder`
  const names = [
    allowed,
    `${allowed}.moved`,
    folder,
    `${folder}.moved`,
    join(workspace, 'moved'),
    join(workspace, 'own'),
  ]
  return new Opens({
    profile: parseProfile(policy),
    workspace,
    mounts: plan.mounts,
    pool,
    record: (kind) => opened.push(kind !== 'file.refused'),
    ask: async ({ kind, path, to, operation }) => {
      asked.push(`${kind} ${path} ${to}`)
      if (to !== undefined && appearing.includes(name)) await writeFile(to, 'of another')
      if (operation === 'mode' || operation === 'times') return path === allowed ? 'allow' : { refusedBy: 'Grace' }
      const files = [allowed, join(`${folder}.moved`, 'file')]
      const isOfIt = to === undefined ? files.includes(path) : [path, to].every((each) => names.includes(each))
      if (ofPrograms.includes(name)) return 'allow'
      const may = isOfIt && (kind === 'read' || to !== undefined || writing.includes(name))
      return may ? 'allow' : { refusedBy: 'Grace' }
    },
  })
}

describe('attempts to get out', { concurrency: 2 }, () => {
  let binary = ''
  let port = 0
  let sentinel: ChildProcess
  const server = createServer()
  let sites: Sites

  before(async () => {
    sites = await openSites()
    const { folder } = await newStage()
    binary = await compileAttempts(folder)
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    port = (server.address() as AddressInfo).port
    sentinel = spawn('sleep', ['3600'])
  })
  after(() => {
    server.close()
    sentinel.kill()
    sites.close()
    assert.equal(sites.reached(), 0, 'nobody inside reached what only they were told of')
    assert.ok(!sites.names.asked.some((name) => name.startsWith('secret.')), 'no secret left as a name')
  })

  test('there are many of them', () => assert.ok(names.length >= 100))

  for (const name of names)
    test(name, async (context) => {
      const isOpen = /^(open|name)-/.test(name)
      const above = isOpen ? outsideOfTmp : undefined

      const skip = onlyInside[name] ?? (neverOutside.includes(name) && 'no packet of a test goes there')
      if (skip) context.diagnostic(`not shown outside: ${skip}`)
      else if (!(await getsThrough(name, above))) {
        assert.ok(maybeOutside.includes(name), 'gets through without the sandbox')
        context.diagnostic('not shown outside: this machine has no such thing, or not for this user')
      }

      const fresh = await newStage(above)
      const facts = async () => {
        const { mode, uid, mtimeMs, nlink } = await stat(fresh.target)
        return { text: await readFile(fresh.target, 'utf8'), mode, uid, mtimeMs, nlink }
      }
      const untouched = await facts()
      const again = await extraFor(name, fresh.folder, fresh.workspace)
      const isNetwork = name.startsWith('network-')
      const profile = `${isNetwork ? sites.rule(binary) : ''}${isOpen ? askForAll : ''}filesystem_policy: { include_workdir: true, read_only: [${ofPrograms.includes(name) ? JSON.stringify(join(fresh.folder, 'tools')) : (kept[name] ?? '')}] }\nlimits: { wall_ms: 120000, memory_mb: 64 }`
      const action = { program: binary, args: [name, fresh.target, fresh.workspace, isNetwork ? sites.inside : again] }
      if (refused.includes(name)) {
        await assert.rejects(
          plan(profile, fresh.workspace, action),
          (error) =>
            error instanceof ClawmeshError && error.code === 'DENIED' && /an action could make it/.test(error.message),
        )
        return
      }
      const opened: unknown[] = []
      const egress = isNetwork ? sites.egress(profile, fresh.workspace, binary, opened) : undefined
      const decided = await plan(profile, fresh.workspace, action)
      const asked: string[] = []
      const opens = isOpen ? opensFor(name, decided, profile, fresh.workspace, again, asked, opened) : undefined
      const outcome = await launch(decided, { pool, egress, opens })
      // Status 1 says that the attempt itself saw the refusal; 31 is SIGSYS, for calls that no program makes by accident.
      assert.ok(outcome.exitCode === 1 || outcome.signal === 31, `ended with ${outcome.exitCode} / ${outcome.signal}`)
      assert.deepEqual(await facts(), untouched)
      if (isOpen) {
        assert.equal(await readFile(again, 'utf8'), 'fine')
        await assert.rejects(lstat(`${fresh.target}.made`), { code: 'ENOENT' })
        const moved = await lstat(`${again}.moved`).catch(() => undefined)
        assert.ok(!moved?.isSymbolicLink(), 'nothing leads anybody elsewhere')
        // A change that was allowed is asked for anew each time: it is different ones that are few.
        const different = new Set(asked).size
        assert.ok((different > 0 || unaskedOf.includes(name)) && different <= mostQuestions, asked.join('\n'))
      }
      // Each came as far as its hello, and that was read.
      const objection = /asks for (hidden|a name that it hides)|it says a thing twice/
      if (name.startsWith('network-tls')) assert.match(opened.join(), objection)
      // What was allowed was really to be had: the race was one.
      if (name.startsWith('network-racing') || toWhatIsAllowed.includes(name))
        assert.ok(opened.includes(true), 'the way that is allowed was open')
    })

  /** Not synchronously: what it reaches may be a server of this process. */
  /** Without the sandbox. A race of half a second is not always won beside others. */
  async function getsThrough(name: string, above: string | undefined): Promise<boolean> {
    for (let tries = name.includes('-racing-') ? 10 : 1; tries > 0; tries--) {
      const { folder, workspace, target } = await newStage(above)
      if ((await outside(name, target, workspace, await extraFor(name, folder, workspace))) === 0) return true
    }
    return false
  }

  async function outside(name: string, target: string, workspace: string, extra: string) {
    const env = name === 'environment' ? { CLAWMESH_CANARY: '1' } : {}
    const stdio =
      name === 'inherited-descriptor'
        ? (['pipe', 'pipe', 'pipe', 'pipe'] as const)
        : (['pipe', 'pipe', 'pipe'] as const)
    const attempt = spawn(binary, [name, target, workspace, extra], { env, stdio: [...stdio] })
    const [status]: unknown[] = await once(attempt, 'close')
    return status
  }

  async function extraFor(name: string, folder: string, workspace: string): Promise<string> {
    if (name.startsWith('network-')) return sites.outside
    if (/^(open|name)-/.test(name)) {
      const open = join(folder, 'open')
      await writeFile(open, 'fine')
      for (const [each, text] of [
        [open, 'fine'],
        [join(folder, 'target'), 'secret'],
      ] as const)
        if (name === 'name-folder-racing-path') {
          await mkdir(`${each}.folder`)
          await writeFile(join(`${each}.folder`, 'file'), text)
        }
      if (ofPrograms.includes(name)) {
        await mkdir(join(folder, 'tools'))
        await writeFile(join(folder, 'tools', 'there'), '', { mode: 0o755 })
      }
      if (name === 'name-into-read-only') await mkdir(join(workspace, 'kept', 'inner'), { recursive: true })
      return open
    }
    if (name.startsWith('tcp') || name === 'udp-send') return String(port)
    if (name === 'kill-outside') return String(sentinel.pid)
    if (name === 'tmp-exec') return `clawmesh-attempt-${process.pid}`
    if (name === 'overwrite-itself') {
      await mkdir(join(folder, 'beside'))
      return workspace
    }
    if (name === 'rename-parent-of-read-only') await mkdir(join(workspace, 'kept', 'inner'), { recursive: true })
    if (name !== 'unix-connect') return '-'
    const listening = createServer().listen(join(workspace, 's'))
    after(() => listening.close())
    await new Promise((ready) => listening.once('listening', ready))
    return 's'
  }
})
