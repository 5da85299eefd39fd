import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'

describe('the first example', () => {
  it('greets each caller and counts them, and its process ends by itself', () => {
    const program = join(installation, 'dist', 'examples', 'hello.js')
    const output = execFileSync(process.execPath, [program], { encoding: 'utf8', timeout: 120_000 })
    assert.equal(output, 'Hello Ada, you are number 1.\nHello Grace, you are number 2.\n')
  })

  it('has at most 15 lines', () => {
    const source = readFileSync(join(installation, 'examples', 'hello.ts'), 'utf8')
    const lines = source.trimEnd().split('\n').length
    assert.ok(lines <= 15, `${lines} lines`)
  })
})
