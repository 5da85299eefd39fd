import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'

const run = (name: string, ...args: string[]) =>
  execFileSync(process.execPath, [join(installation, 'dist', 'examples', `${name}.js`), ...args], {
    encoding: 'utf8',
    timeout: 180_000,
  })

describe('the example', () => {
  it('supervisor: a worker that crashes comes back, and no square is missing', () => {
    assert.equal(run('supervisor'), 'worker-2 is back: it crashed: a fuse blew\n1 4 9 16 25 36 49 64 81\n')
  })

  it('debate: five agents decide a sum, one of them convinced by its neighbours', () => {
    assert.match(run('debate'), /\n6\.5 \(.*tokens\)\n$/)
  })

  it('approval: what a person allows is done, and what he refuses is not', () => {
    assert.equal(run('approval', 'yes'), 'count_lines wants to read diary.txt\n2 lines\n')
    assert.equal(run('approval'), 'count_lines wants to read diary.txt\ncount_lines was refused\n')
  })

  it('mcp: an agent looks a word up with a tool of a server in a sandbox', () => {
    assert.equal(run('mcp'), 'actor: something that is sent messages\n')
  })

  it('can be read at a glance', () => {
    for (const name of ['supervisor', 'debate', 'approval', 'mcp', 'research']) {
      const source = readFileSync(join(installation, 'examples', `${name}.ts`), 'utf8')
      assert.ok(source.trimEnd().split('\n').length <= 50, name)
    }
  })
})
