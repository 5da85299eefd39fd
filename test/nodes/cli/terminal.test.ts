/** The command at a real terminal, typed at. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, describe, it } from 'node:test'
import { cacheFolder } from '../../../nodes/config.js'
import { program } from '../../kit/command.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'

/** util-linux's `script` gives a program a terminal. */
const noTerminal =
  spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: ['pipe', 'ignore', 'ignore'] }).status === 0
    ? false
    : 'no terminal can be made here'

describe('at a terminal', { skip: noTerminal }, () => {
  const folder = temporaryFolder()
  const workspace = join(folder, 'workspace')
  mkdirSync(workspace)
  writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\n')
  writeFileSync(join(folder, 'secret.txt'), 'a secret\n')
  const children: ChildProcess[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const quoted = (words: string[]) => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')

  function start(...args: string[]) {
    const words = [process.execPath, program, 'start', '--model', 'shipped', '--data', join(folder, 'data'), ...args]
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const child = spawn('script', ['-qec', quoted(words), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...env, CLAWMESH_CACHE: cacheFolder(process.env), TERM: 'dumb' },
    })
    children.push(child)
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text
    })
    const ended = once(child, 'exit')
    return {
      shows: (what: RegExp) => eventually(() => assert.match(shown, what), 30_000),
      shown: () => shown,
      type: (text: string) => child.stdin.write(text),
      status: async () => Number((await ended)[0]),
    }
  }

  it('a workspace without a request is asked about, and a late yes is no request', async () => {
    const terminal = start('--workspace', workspace)
    await terminal.shows(/clawmesh> /)
    assert.doesNotMatch(terminal.shown(), /parts? for/, 'nothing was done unasked')
    terminal.type('y\r')
    await terminal.shows(/nothing is held now/)
    terminal.type('how many lines has notes.txt\r')
    await terminal.shows(/2 lines/)
    terminal.type('exit\r')
    assert.equal(await terminal.status(), 0)
  })

  it('a yes that was typed before the question stood there is no answer to it', async () => {
    const terminal = start('read ../secret.txt', '--workspace', workspace)
    await terminal.shows(/nodes are up/)
    terminal.type('y\r')
    await terminal.shows(/Allow it\?/)
    terminal.type('\r')
    assert.equal(await terminal.status(), 3)
    assert.doesNotMatch(terminal.shown(), /1 lines/)
    assert.match(terminal.shown(), /refuse \(\w+ at a terminal\)/)
    assert.match(terminal.shown(), /· refused by \w+ at a terminal/, 'whoever answered is told what became of it')
  })

  it('Ctrl-C at a question ends it as anywhere else, and nothing was done', async () => {
    const terminal = start('write a note hello.txt saying SALUT', '--workspace', workspace)
    await terminal.shows(/held: write_note .*hello\.txt", text "SALUT"/)
    await terminal.shows(/Allow it\?/)
    terminal.type('\u0003')
    await terminal.shows(/draining/)
    assert.notEqual(await terminal.status(), 0)
    assert.match(terminal.shown(), /Stopped by SIGINT/)
    assert.equal(existsSync(join(workspace, 'hello.txt')), false)
  })

  it('a yes to the question is, and a word that is none of its answers has it asked again', async () => {
    const terminal = start('read ../secret.txt', '--workspace', workspace)
    await terminal.shows(/Allow it\?/)
    terminal.type('yse\r')
    await terminal.shows(/"yse" is none of these[\s\S]*Allow it\?/)
    terminal.type('y\r')
    assert.equal(await terminal.status(), 0)
    assert.match(terminal.shown(), /1 lines[\s\S]*allow \(\w+ at a terminal\)/)
    assert.match(terminal.shown(), /· allowed by \w+ at a terminal/)
  })
})
