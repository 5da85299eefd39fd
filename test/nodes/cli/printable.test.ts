import assert from 'node:assert/strict'
import { it } from 'node:test'
import { detail, headline } from '../../../nodes/cli/approve/words.js'
import { printable } from '../../../nodes/cli/printable.js'

it('nothing in a path can erase or recolour the question that names it', () => {
  assert.equal(printable('x\r\u001b[2K\u001b[2mharmless\u001b[0m'), 'x\\u{d}\\u{1b}[2K\\u{1b}[2mharmless\\u{1b}[0m')
  assert.equal(printable('a\u202eb\u009bc'), 'a\\u{202e}b\\u{9b}c')
  assert.equal(printable('a\u200bb\u00adc\u{e0041}'), 'a\\u{200b}b\\u{ad}c\\u{e0041}')
  assert.equal(printable('two\nlines\tÄ ✓'), 'two\nlines\tÄ ✓')
})

it('a path is told from what stands beside it, whatever it holds', () => {
  const path = '/a" by /bin/cat\nheld: ls on n wants to read "/b\u202e'
  const question = {
    ...{ id: '1', task: '', node: 'n', tool: 'sh', args: {}, workspace: '/w', askedAt: 0, deadline: 0, verdict: null },
    missing: [{ kind: 'write' as const, path, by: '/bin/x\ny' }],
  }
  const told = '"/a\\" by /bin/cat\\nheld: ls on n wants to read \\"/b\\u{202e}"'
  assert.equal(headline(question), `held: sh on n wants to write ${told} by "/bin/x\\ny"`)
  const view = { ...question, adds: { read_only: [], read_write: [path] }, folded: 0, behind: 0, revision: 1 }
  assert.equal(printable(detail(view)).split('\n').at(-1), `    read_write: ${told}`)
})

it('a mode, times and a folder are asked for by what they are to be', () => {
  const wish = (what: Partial<Parameters<typeof headline>[0]['missing'][number]>) => {
    const missing = [{ kind: 'write' as const, path: '/a', ...what }]
    const question = { id: '1', task: '', node: 'n', tool: 'sh', args: {}, workspace: '/w', missing }
    return headline({ ...question, askedAt: 0, deadline: 0, verdict: null }).replace('held: sh on n wants to ', '')
  }
  assert.equal(wish({ operation: 'mode', to: '0604' }), 'set the mode of "/a" to 0604')
  assert.equal(wish({ operation: 'times', to: 'now' }), 'set the times of "/a" to now')
  assert.equal(
    wish({ operation: 'rename-folder', to: '/b' }),
    'rename the folder, with all that is in it, "/a" to "/b"',
  )
})
