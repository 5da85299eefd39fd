import assert from 'node:assert/strict'
import { it } from 'node:test'
import { printable } from '../../nodes/cli/printable.js'

it('nothing in a path can erase or recolour the question that names it', () => {
  assert.equal(printable('x\r\u001b[2K\u001b[2mharmless\u001b[0m'), 'x\\u{d}\\u{1b}[2K\\u{1b}[2mharmless\\u{1b}[0m')
  assert.equal(printable('a\u202eb\u009bc'), 'a\\u{202e}b\\u{9b}c')
  assert.equal(printable('a\u200bb\u00adc\u{e0041}'), 'a\\u{200b}b\\u{ad}c\\u{e0041}')
  assert.equal(printable('two\nlines\tÄ ✓'), 'two\nlines\tÄ ✓')
})
