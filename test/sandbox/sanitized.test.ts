/** The launcher built to stop at the first wrong step: actions by both modes, and requests that no client would make. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { newStage } from './stage.js'

const sources = join(installation, 'sandbox', 'launcher')
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']

test('no request and no action makes the launcher take a wrong step', async (context) => {
  const { folder } = await newStage()
  await chmod(folder, 0o755)
  const program = join(folder, 'sanitized')
  const files = readdirSync(sources).filter((name) => name.endsWith('.c'))
  const { status, stderr } = spawnSync(
    'cc',
    [
      '-std=c11',
      '-O1',
      '-g',
      '-Wall',
      '-Wextra',
      '-Werror',
      ...sanitizers,
      '-o',
      program,
      ...files.map((name) => join(sources, name)),
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) {
    // A mistake in the sources fails the build test; here it can only be the sanitizers that are missing.
    context.skip(`no sanitizers here: ${stderr.trim().split('\n').at(-1)}`)
    return
  }
  const fixture = spawn(process.execPath, [join(import.meta.dirname, 'wrong-requests.js'), program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([text(fixture.stdout), text(fixture.stderr)])
  assert.doesNotMatch(out + err, /Sanitizer|runtime error/)
  assert.match(
    out,
    /^300 wrong requests: \d+ refused, the rest ran; 40 took wrong orders; 12 actions ran, \d with a network, 4 with files that were asked for; one daemon\n$/,
  )
  context.diagnostic(out.trim())
})

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = ''
  for await (const piece of stream) all += piece
  return all
}
