/** Processes of ours in which native code reads what people ask: they reach no network, and otherwise work as before. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { collect } from '../../inference/backend.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { openModels } from '../../nodes/process/models.js'
import { readRouterRules } from '../../nodes/router-rules.js'
import { taggerOf } from '../../nodes/tagger.js'
import { offlineRunner } from '../../sandbox/offline.js'
import { temporaryFolder } from '../kit/mesh.js'

const network = (pid: number | 'self' | undefined) => readlinkSync(`/proc/${pid}/ns/net`)
/** onnxruntime tells its makers nothing. */
const isQuiet = (pid: number | undefined) =>
  /(^|\0)ORT_DISABLE_TELEMETRY=1\0/.test(readFileSync(`/proc/${pid}/environ`, 'latin1'))

/** Says what becomes of a connection to a port that is open outside, and of a datagram. */
const caller = `
import { connect } from 'node:net'
import { createSocket } from 'node:dgram'
const ended = (socket) => new Promise((tell) => socket.on('connect', () => tell('connected')).on('error', ({ code }) => tell(code)))
process.on('message', async (port) => {
  const datagram = new Promise((tell) => {
    const socket = createSocket('udp4')
    socket.send('x', port, '127.0.0.1', (error) => tell(error?.code ?? 'sent', socket.close()))
  })
  process.send([await ended(connect(port, '127.0.0.1')), await datagram, process.getuid()])
  process.disconnect()
})`

describe('a process without a network', { skip: offlineRunner() ? false : 'this machine makes no namespaces' }, () => {
  it('reaches not even this machine, runs as who started it, and talks to its parent', async () => {
    const folder = temporaryFolder()
    const server = createServer(() => assert.fail('it was reached')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(address && typeof address === 'object')
    const program = join(folder, 'caller.mjs')
    writeFileSync(program, caller)
    try {
      const child = fork(program, [], { ...offlineRunner(), env: {} })
      child.send(address.port)
      const [said] = await once(child, 'message')
      assert.deepEqual(said, ['ENETUNREACH', 'ENETUNREACH', process.getuid?.()])
      await once(child, 'exit')
    } finally {
      server.close()
      rmSync(folder, { recursive: true })
    }
  })

  it('is that of every model that is loaded here, and of the tagger', async () => {
    const { backend } = await openModels({ probe: false })
    assert.ok(backend instanceof OnnxBackend)
    try {
      const messages = [{ role: 'user' as const, content: '12 + 7' }]
      await collect(backend.generate({ messages, maxTokens: 16, temperature: 0 }))
      const pid = await backend.pid()
      assert.notEqual(network(pid), network('self'))
      assert.ok(isQuiet(pid))
    } finally {
      await backend.dispose()
    }
    const tagger = taggerOf(readRouterRules().rules)
    try {
      await tagger.tag(['Ada Lovelace lives here.'])
      assert.notEqual(network(tagger.pid), network('self'))
      assert.ok(isQuiet(tagger.pid))
    } finally {
      tagger.close()
    }
  })
})
