import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, describe, it } from 'node:test'
import { collect } from '../../../inference/backend.js'
import { OpenAiBackend } from '../../../inference/openai/backend.js'
import { distrust, firstPersonIn, ownersOf } from '../../../inference/openai/owner.js'
import { probeServers } from '../../../inference/openai/probe.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { coded, sum } from '../../contract/backend.js'
import { recorded, serve, stream } from './server.js'

const nobody = 65534
const service = 65
const asAnother = (uid: number) => ({ uid, gid: uid })
const cannotBeAnother =
  process.geteuid?.() === 0 && spawnSync(process.execPath, ['--version'], asAnother(nobody)).status === 0
    ? false
    : 'only root can start the program of another user'

/** A model server of another user, with the recorded list of models. */
const program = `
const [models, port] = process.argv.slice(1)
require('node:http').createServer((request, response) => response.end(models))
  .listen(Number(port), '127.0.0.1', function () { process.stdout.write(String(this.address().port)) })
`

describe('a model server that nobody named', () => {
  const started: ChildProcess[] = []
  after(() => {
    for (const child of started) child.kill('SIGKILL')
  })

  async function serveAs(uid: number, port = 0): Promise<string> {
    const child = spawn(process.execPath, ['-e', program, await recorded('ollama/models.json'), String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: '/',
      ...asAnother(uid),
    })
    started.push(child)
    return `http://127.0.0.1:${String((await once(child.stdout, 'data'))[0])}`
  }

  it('is used if it is the person’s own', async () => {
    const server = await serve(await recorded('ollama/models.json'), stream(await recorded('ollama/text.sse')))
    const [found] = await probeServers(undefined, 60_000, [server.url])
    assert.deepEqual([found?.kind, found?.distrust], ['ollama', undefined])
    const backend = await OpenAiBackend.open({ url: server.url, found: true })
    for await (const event of backend.generate(sum)) assert.ok(event.type)
    assert.equal(server.asked.length, 1)
    await server.close()
  })

  it('is used if it is a service of the machine', { skip: cannotBeAnother }, async () => {
    const [found] = await probeServers(undefined, 60_000, [await serveAs(service)])
    assert.deepEqual([found?.kind, found?.distrust], ['ollama', undefined])
  })

  it('is passed over, with the reason, if it is another user’s, and is used if the person names it', {
    skip: cannotBeAnother,
  }, async () => {
    const url = await serveAs(nobody)
    const [found] = await probeServers(undefined, 60_000, [url])
    assert.equal(found?.distrust, `another user of this machine runs it (user id ${nobody})`)
    await assert.rejects(OpenAiBackend.open({ url, found: true }), coded('DENIED'))
    const [named] = await probeServers(url, 60_000, [])
    assert.equal(named?.distrust, undefined)
    assert.equal((await OpenAiBackend.open({ url })).model.name, 'llama3.2:latest')
  })

  it('gets no prompt once another user listens in its place', { skip: cannotBeAnother }, async () => {
    const server = await serve(await recorded('ollama/models.json'), () => {})
    const backend = await OpenAiBackend.open({ url: server.url, found: true })
    await server.close()
    await serveAs(nobody, Number(new URL(server.url).port))
    await assert.rejects(async () => {
      for await (const event of backend.generate(sum)) assert.fail(event.type)
    }, coded('DENIED'))
  })

  it('is nobody’s where nobody listens', async () => {
    const server = await serve(await recorded('ollama/models.json'), () => {})
    const backend = await OpenAiBackend.open({ url: server.url, found: true })
    await server.close()
    assert.equal(await distrust(server.url), 'nobody is seen to run it')
    // Not a stranger's: another machine is to be asked.
    await assert.rejects(collect(backend.generate(sum)), (thrown) => {
      assert.equal(ClawmeshError.from(thrown).data['away'], true)
      return coded('MODEL_FAILED')(thrown)
    })
  })
})

describe('the kernel’s table of sockets', () => {
  const row = (local: string, state: string, uid: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid} 0 4711 1 0 100 0 0 10 0`
  const table = (...rows: string[]) => ['  sl  local_address rem_address st …', ...rows, ''].join('\n')

  it('names all who can get a connection over loopback', () => {
    const rows = [
      row('0100007F:1F40', '0A', 1),
      row('00000000:1F40', '0A', 2),
      row('0200007F:1F40', '0A', 3),
      row(`${'0'.repeat(32)}:1F40`, '0A', 4),
      row(`${'0'.repeat(24)}01000000:1F40`, '0A', 5),
      row('0000000000000000FFFF00000100007F:1F40', '0A', 6),
      row('0000000000000000FFFF000000000000:1F40', '0A', 7),
    ]
    assert.deepEqual(ownersOf(table(...rows), 8000), [1, 2, 3, 4, 5, 6, 7])
  })

  it('names nobody for another port, a connection, or another address', () => {
    const rows = [
      row('0100007F:1F41', '0A', 1),
      row('0100007F:1F40', '01', 2),
      row('0A0200C0:1F40', '0A', 3),
      row('B80D0120000000000000000001000000:1F40', '0A', 4),
    ]
    assert.deepEqual(ownersOf(table(...rows), 8000), [])
  })

  it('is read with the machine’s own line between services and people', () => {
    assert.equal(firstPersonIn('UID_MAX 60000\nUID_MIN\t\t  500\n'), 500)
    assert.equal(firstPersonIn('#UID_MIN 500'), 1000)
  })
})
