/** A service survives a reboot: every process ended with SIGKILL, its unit's own command started in the same data folder. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Values } from '../../../nodes/cli/command.js'
import { ApiKeys } from '../../../nodes/gateway/http/keys.js'
import { program } from '../../kit/command.js'
import { eventually } from '../../kit/eventually.js'
import { freePort } from '../../kit/free-port.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { command, run } from '../command.js'
import { execStart, firstServed, listFor, readList, Served, toldByList, toldByUnit, unitFor } from './served.js'

const folder = temporaryFolder()
after(() => rmSync(folder, { recursive: true, force: true }))

describe('the unit of a service', () => {
  const odd = join(folder, 'a "b" \\c %d $e')
  for (const scope of ['user', 'system'])
    it(`is one that systemd takes, with its words as they were meant: ${scope}`, (t) => {
      const unit = unitFor('up', { data: odd, gateway: '8090', name: 'home', scope })
      assert.deepEqual(execStart(unit), [
        process.execPath,
        program,
        'up',
        '--data',
        odd,
        '--gateway',
        '8090',
        '--name',
        'home',
      ])
      assert.equal(/^User=/m.test(unit), scope === 'system')
      const file = join(folder, `clawmesh-${scope}.service`)
      writeFileSync(file, unit)
      const { error, status, stdout, stderr } = spawnSync(
        'systemd-analyze',
        ['verify', '--man=no', `--${scope}`, file],
        { encoding: 'utf8', env: { ...process.env, XDG_RUNTIME_DIR: folder } },
      )
      if (error) return t.skip('there is no systemd-analyze here')
      assert.equal(`${stdout}${stderr}`.replaceAll(/^.*marked (?:executable|world).*\n?/gm, ''), '')
      assert.equal(status, 0)
    })

  it('is on macOS a property list that a reader of such lists takes, with its words as they were meant', () => {
    const marked = join(folder, 'a <b> & "c" \u00e4')
    for (const scope of ['user', 'system'] as const) {
      const values = { data: marked, gateway: '8090', name: 'home', scope }
      const { ProgramArguments, EnvironmentVariables, ...rest } = readList(listFor('up', values))
      const unit = toldByUnit(unitFor('up', values))
      assert.deepEqual({ command: ProgramArguments, environment: EnvironmentVariables }, unit)
      const { Label, RunAtLoad, KeepAlive, Umask, StandardErrorPath } = rest
      assert.deepEqual([Label, RunAtLoad, KeepAlive, Umask], ['io.clawmesh.clawmesh', true, true, 0o77])
      assert.equal(StandardErrorPath, join(marked, 'service.log'))
      assert.equal('UserName' in rest, scope === 'system')
    }
  })

  it('leaves the sandbox what it needs, and V8', () => {
    const lines = unitFor('up', { data: odd }).split('\n')
    for (const name of [
      'RestrictNamespaces',
      'RestrictSUIDSGID',
      'PrivateUsers',
      'ProtectKernelTunables',
      'ProtectProc',
      'MemoryDenyWriteExecute',
    ])
      assert.ok(!lines.some((line) => line.startsWith(`${name}=`)), name)
    assert.ok(lines.includes('NoNewPrivileges=yes'))
  })

  it('names files by paths that mean the same from anywhere', () => {
    const words = execStart(unitFor('up', { data: odd, 'gateway-listen': '0.0.0.0:8443', 'gateway-key': 'key.pem' }))
    assert.deepEqual(words.slice(5), [
      '--gateway-listen',
      '0.0.0.0:8443',
      '--gateway-key',
      join(process.cwd(), 'key.pem'),
    ])
  })

  it('is not made for what cannot run', () => {
    for (const [given, values, says] of [
      ['join', { data: join(folder, 'none') }, /belongs to no mesh yet/],
      ['dance', {}, /nothing that runs as a service/],
      ['up', { gateway: 'everywhere' }, /everywhere/],
      ['up', { service: 'a b' }, /no name for a service/],
      ['up', { scope: 'world' }, /no scope/],
      ['up', { data: `${odd}\nExecStartPre=/bin/true` }, /control character/],
      ['up', { data: odd, workspace: 'a\nUser=root' }, /control character/],
      ['up', { data: odd, scope: 'system', account: 'root\nExecStartPre=/bin/true' }, /no account/],
      ['up', { data: odd, scope: 'system', account: '-x' }, /no account/],
    ] as const)
      assert.throws(() => unitFor(given, values), says)
  })
})

describe('a service whose every process is killed', () => {
  const data = join(folder, 'data')
  const workspace = join(folder, 'workspace')
  const strict = join(folder, 'strict.yaml')
  const request = 'How many lines has notes.txt? read ../secret.txt'
  const get = async (path: string, body?: object): Promise<unknown> => {
    const headers = { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) }
    const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers }
    return (await fetch(`${url}${path}`, init)).json()
  }
  /** The action that waits for a person. */
  const held = () =>
    eventually(async () => {
      const { questions } = (await get('/v1/approvals')) as { questions: { id: string }[] }
      const [found] = questions
      if (!found) await setTimeout(100)
      return found?.id ?? assert.fail('nothing is held')
    }, 30_000)
  let values: Values
  let unit: string
  let url: string
  let key: string
  let served: Served
  before(async () => {
    mkdirSync(workspace)
    writeFileSync(join(workspace, 'notes.txt'), 'a\nb\nc\n')
    writeFileSync(join(folder, 'secret.txt'), 'a\n')
    writeFileSync(strict, 'filesystem_policy: { read_only: [.] }\nask: [{ read: / }]\n')
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    values = { data, gateway: String(port), workspace, model: 'shipped', name: 'home' }
    unit = unitFor('up', values)
    served = new Served(toldByUnit(unit))
    await served.heard(/The mesh is up/)
    key = new ApiKeys(data).add('ada', 'admin', Date.now())
  })
  after(() => served.stop())

  it('serves its first request again by the unit’s own command, with its keys, policy, task and question', async () => {
    const applied = await command('policy', 'apply', strict, '--data', data, '--json')
    assert.deepEqual(JSON.parse(applied.stdout), { ok: true, version: 1, running: true, nodes: { home: 'taken' } })
    const asking = run(['run', request, '--data', data, '--json'])
    const before = await held()
    // The supervising process, the broker, the nodes, the model, the sandboxes: and whoever asked, whose machine it was.
    assert.ok((await Promise.all([served.killAll(), asking.child.kill('SIGKILL')]))[0] > 5)
    await asking.ended
    await assert.rejects(fetch(url))

    served = new Served(toldByUnit(unit))
    const took = await firstServed(url, key)
    assert.ok(took < 30_000, `${took} ms`)
    const nodes = JSON.parse((await command('nodes', '--data', data, '--json')).stdout).nodes as Record<
      string,
      unknown
    >[]
    const home = nodes.find(({ name }) => name === 'home')
    assert.deepEqual([home?.['policy'], home?.['drift']], [`${strict} v1`, null])
    // An authority restored from before that version gives its number to no other.
    rmSync(join(data, 'authority', 'policies', '000001.edition'))
    const again = await command('policy', 'apply', strict, '--data', data, '--json')
    assert.deepEqual(JSON.parse(again.stdout), { ok: true, version: 2, running: true, nodes: { home: 'taken' } })
    // Its task and its question are there; that a task goes on when it is asked for again, test/chaos shows.
    const { tasks } = (await get('/v1/tasks')) as { tasks: { outcome?: unknown }[] }
    assert.equal(tasks.length, 1)
    assert.equal(tasks[0]?.outcome ?? null, null)
    const { questions } = (await get('/v1/approvals?state=all')) as { questions: { id: string }[] }
    assert.deepEqual(
      questions.map(({ id }) => id),
      [before],
    )
    assert.equal(readFileSync(join(workspace, 'notes.txt'), 'utf8'), 'a\nb\nc\n')
    // What launchd would be told on macOS starts the same.
    await served.killAll()
    served = new Served(toldByList(listFor('up', values)))
    await firstServed(url, key)
    assert.equal(((await get('/v1/tasks')) as { tasks: unknown[] }).tasks.length, 1)
  })
})
