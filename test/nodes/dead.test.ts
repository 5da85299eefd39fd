/** `clawmesh dead …`, as the shipped command, in a mesh that runs. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, message, nothing, on } from '../../mesh/index.js'
import { openLiveGround } from '../../nodes/authority/live.js'
import { joinAsGuest } from '../../nodes/member/guest.js'
import { eventually } from '../kit/eventually.js'
import { Machine } from './machine.js'

const Note = message('test.note', { request: z.string(), reply: nothing })
const listSchema = z.object({
  letters: z.array(z.object({ id: z.string(), code: z.string(), begun: z.boolean(), actor: z.string() })),
})

describe('clawmesh dead', () => {
  const machine = new Machine()
  const handled: string[] = []
  const undo: (() => Promise<void>)[] = []

  before(async () => {
    await machine.up('--name', 'home')
    const ground = (await openLiveGround(machine.data)) ?? assert.fail('no mesh runs')
    undo.push(() => ground.close())
    const { node, end } = await joinAsGuest(ground, machine.data, ['supervisor'])
    undo.push(end)
    let crashes = true
    const notes = actor('notes', () => [
      on(Note, (what) => {
        if (crashes) throw new TypeError('a bug')
        handled.push(what)
        return null
      }),
    ])
    await node.spawn(notes)
    await node.ref('notes').tell(Note, 'Remember the milk.')
    await eventually(() => assert.equal(node.directory.locate('notes'), undefined))
    crashes = false
    await node.spawn(notes)
    await node.ref('node/home').tell(Note, 'Nobody understands this.')
  })
  after(async () => {
    for (const step of undo.reverse()) await step()
    await machine.remove()
  })

  const list = async () => listSchema.parse(JSON.parse((await machine.do('dead', 'list', '--json')).stdout)).letters

  it('lists, shows, sends once more and drops what could not be delivered, and the trail says who did', async () => {
    const [crashed, strange] = await eventually(async () => {
      const letters = await list()
      const sorted = ['ACTOR_CRASHED', 'UNKNOWN_MESSAGE'].map((code) => letters.find((letter) => letter.code === code))
      assert.ok(sorted.every((letter) => letter))
      return sorted
    }, 20_000)
    assert.ok(crashed?.begun && strange && !strange.begun)
    const shown = await machine.do('dead', 'show', crashed.id.slice(0, 8))
    assert.match(
      shown.stdout,
      /test\.note to notes from runner-1: .*a bug[\s\S]*its handler had been called[\s\S]*Remember the milk/,
    )

    const careful = await machine.do('dead', 'replay', crashed.id)
    assert.deepEqual([careful.status, handled], [2, []], careful.stderr)
    assert.match(careful.stderr, /had been called: what it did is not known/)
    const replayed = await machine.do('dead', 'replay', crashed.id, '--again')
    assert.deepEqual([replayed.status, handled], [0, ['Remember the milk.']], replayed.stderr)

    const dropped = await machine.do('dead', 'drop', strange.id)
    assert.equal(dropped.status, 0, dropped.stderr)
    assert.deepEqual(await list(), [])

    const { stdout } = await machine.do('audit', 'query', '--json', '--kind', 'dead')
    const outcomes = [...stdout.matchAll(/"kind":"dead\.(\w+)".*?"id":"(\w+)".*?(?:"outcome":("?\w+"?))?[,}]/g)]
    assert.ok(outcomes.some(([, kind, id]) => kind === 'replayed' && id === crashed.id))
    assert.ok(outcomes.some(([, kind, id]) => kind === 'dropped' && id === strange.id))
  })
})
