/** Tries what the process that holds the keys should not be able to: one line of JSON on its input says what, one on its output what came of each. */
import { spawnSync } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

export type Attempt =
  | { connect: string; port: number }
  | { read: string }
  | { write: string }
  | { execute: string; args: string[] }
  | { variables: true }

async function outcome(attempt: Attempt): Promise<string> {
  if ('connect' in attempt) return connecting(attempt.connect, attempt.port)
  try {
    if ('read' in attempt) readFileSync(attempt.read)
    else if ('write' in attempt) appendFileSync(attempt.write, '')
    else if ('execute' in attempt) {
      const { error, stdout } = spawnSync(attempt.execute, attempt.args, { env: {} })
      if (error) throw error
      return String(stdout).trim()
    } else return Object.keys(process.env).sort().join(' ')
    return 'done'
  } catch (error) {
    return codeOf(error)
  }
}

/** The first bytes that come, to a request in the clear. */
function connecting(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => socket.write('GET / HTTP/1.0\r\n\r\n'))
    socket.once('data', (bytes) => {
      socket.destroy()
      resolve(String(bytes).slice(-2))
    })
    socket.once('error', (error) => resolve(codeOf(error)))
    socket.once('close', () => resolve('closed'))
  })
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

for await (const line of createInterface({ input: process.stdin })) {
  const attempts: Attempt[] = JSON.parse(line)
  const outcomes: string[] = []
  for (const attempt of attempts) outcomes.push(await outcome(attempt))
  process.stdout.write(`${JSON.stringify(outcomes)}\n`)
}
