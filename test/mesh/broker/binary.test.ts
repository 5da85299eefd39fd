import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type BinarySearch, type BrokerBinary, findBroker, sha256 } from '../../../mesh/broker/binary.js'
import { cacheFolder } from '../../../nodes/config.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { temporaryFolder } from '../../kit/mesh.js'

const patience = { answerMs: 30_000, stallMs: 30_000 }
const hasApt = existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg')

describe('the search for a nats-server', () => {
  let folder: string
  let real: BrokerBinary
  let server: Server
  let answer: RequestListener = (_, response) => response.writeHead(404).end()
  let asked = 0
  let said: string[] = []

  before(async () => {
    folder = temporaryFolder()
    real = await findBroker({
      ...search(),
      searchPath: process.env['PATH'] ?? '',
      cache: cacheFolder(process.env),
      releases: 'http://127.0.0.1:9',
    })
    server = createServer((request, response) => {
      asked += 1
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true, force: true })
  })

  /** Nothing at hand, nothing to fetch: each test adds what it is about. */
  function search(): BinarySearch {
    said = []
    asked = 0
    const address = server?.address()
    const port = typeof address === 'object' ? address?.port : 9
    return {
      searchPath: '',
      cache: join(folder, 'cache'),
      releases: `http://127.0.0.1:${port}`,
      progress: (text) => said.push(text),
      patience,
    }
  }

  function place(name: string): string {
    const path = join(folder, name)
    mkdirSync(path, { recursive: true })
    copyFileSync(real.path, join(path, 'nats-server'))
    chmodSync(join(path, 'nats-server'), 0o755)
    return path
  }

  function old(name: string): string {
    const path = join(folder, name)
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, 'nats-server'), '#!/bin/sh\necho nats-server: v2.8.4\n', { mode: 0o755 })
    return path
  }

  function fillCache(): string {
    const cache = place('cache')
    writeFileSync(join(cache, 'nats-server.sha256'), sha256(join(cache, 'nats-server')))
    return cache
  }

  const isUnavailable = (says: RegExp) => (error: unknown) =>
    error instanceof ClawmeshError &&
    error.code === 'BROKER_UNAVAILABLE' &&
    error.hint !== '' &&
    says.test(error.message)

  it('takes the one that was named before one in PATH, that before a cached one', async () => {
    fillCache()
    const searchPath = `${join(folder, 'nothing')}:${place('in path')}`
    const named = join(place('named'), 'nats-server')
    const both = { ...search(), searchPath }
    assert.deepEqual(await findBroker({ ...both, named }), { path: named, version: real.version, source: 'named' })
    assert.deepEqual(await findBroker(both), {
      path: join(folder, 'in path', 'nats-server'),
      version: real.version,
      source: 'PATH',
    })
    assert.equal((await findBroker(search())).source, 'cache')
    assert.equal(asked, 0)
  })

  it('does not look past one that was named and cannot be used', async () => {
    fillCache()
    await assert.rejects(
      findBroker({ ...search(), named: join(old('old'), 'nats-server') }),
      isUnavailable(/2\.8\.4; clawmesh needs 2\.9/),
    )
    assert.equal(asked, 0)
  })

  it('asks one again that was killed before it could say what it is', async () => {
    const path = join(folder, 'killed once')
    mkdirSync(path)
    const named = join(path, 'nats-server')
    const dying = (times: number) =>
      `#!/bin/sh\necho x >> "${path}/asked"\n[ $(wc -l < "${path}/asked") -gt ${times} ] || kill -9 $$\nexec "${real.path}" "$@"\n`
    writeFileSync(named, dying(1), { mode: 0o755 })
    assert.equal((await findBroker({ ...search(), named })).version, real.version)
    writeFileSync(named, dying(99))
    await assert.rejects(findBroker({ ...search(), named }), isUnavailable(/does not run as a nats-server/))
  })

  it('looks past one in PATH that is too old, and says so', async () => {
    fillCache()
    assert.equal((await findBroker({ ...search(), searchPath: old('old') })).source, 'cache')
    assert.match(said.join(), /2\.8\.4/)
  })

  it('never runs what lies in the current folder', async () => {
    fillCache()
    assert.equal((await findBroker({ ...search(), searchPath: ':.' })).source, 'cache')
  })

  it('does not use a cached one that was altered', async () => {
    const cache = fillCache()
    appendFileSync(join(cache, 'nats-server'), 'x')
    await withoutApt(async (options) => assert.rejects(findBroker(options), isUnavailable(/404/)))
    assert.equal(asked, 1)
  })

  describe('that comes to the official release', () => {
    const refused: [string, RequestListener, RegExp, typeof patience?][] = [
      ['is not there', (_, response) => response.writeHead(404).end(), /the download answered 404/],
      ['is another archive', (_, response) => response.end('not the archive'), /SHA-256 [0-9a-f]{64}, not the pinned/],
      [
        'breaks off',
        (_, response) => {
          response.writeHead(200, { 'content-length': '1000' })
          response.write('half', () => response.destroy())
        },
        /release: (the download failed|terminated|other side closed|aborted)/,
      ],
      ['does not answer', () => undefined, /the download did not answer for 0\.2 s/, { ...patience, answerMs: 200 }],
      [
        'stands still',
        (_, response) => {
          response.writeHead(200, { 'content-length': '1000' })
          response.write('half')
        },
        /the download stood still for 0\.2 s/,
        { ...patience, stallMs: 200 },
      ],
    ]
    for (const [what, listener, says, shown = patience] of refused) {
      it(`refuses one that ${what}, and tries Debian's`, async () => {
        rmSync(join(folder, 'cache'), { recursive: true, force: true })
        answer = listener
        await withoutApt((options) =>
          assert.rejects(
            findBroker({ ...options, patience: shown }),
            (error) => isUnavailable(says)(error) && isUnavailable(/debian: there is no apt-get here/)(error),
          ),
        )
        assert.deepEqual(readdirSync(join(folder, 'cache')), [], 'something half-written is left in the cache')
      })
    }
  })

  it("unpacks Debian's package into the cache, and finds it there the next time", {
    skip: !hasApt && 'there is no apt-get and dpkg on this machine',
  }, async (test) => {
    rmSync(join(folder, 'cache'), { recursive: true, force: true })
    answer = (_, response) => response.writeHead(404).end()
    const found = await findBroker(search()).catch((error: ClawmeshError) => error)
    if (found instanceof Error) return test.skip(`Debian's archive cannot be used from here: ${found.message}`)
    assert.equal(found.source, 'debian')
    assert.match(execFileSync(found.path, ['--version'], { encoding: 'utf8' }), new RegExp(found.version))
    assert.deepEqual(readdirSync(join(folder, 'cache')).sort(), ['nats-server', 'nats-server.sha256'])
    assert.deepEqual(await findBroker(search()), { ...found, source: 'cache' })
  })

  /** As on a machine that is no Debian: programs are looked up where there is only tar. */
  async function withoutApt(search_: (options: BinarySearch) => Promise<unknown>): Promise<void> {
    const path = process.env['PATH']
    process.env['PATH'] = join(folder, 'nothing')
    try {
      await search_(search())
    } finally {
      process.env['PATH'] = path
    }
  }
})
