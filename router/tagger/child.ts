/**
 * The process of a tagger: a graph blocks its thread while it computes, and a hostile or broken one may never come back. It opens the folder that is its only
 * argument, tests itself, and answers until the one that started it is gone.
 */
import type { Adapter } from './adapter.js'
import { openFolder } from './folder.js'
import { openGliner } from './gliner.js'
import { openPieces } from './pieces.js'
import type { FromChild, ToChild } from './protocol.js'

process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))

const opened = open(process.argv[2] ?? '')
opened.then(
  () => send({ type: 'ready' }),
  (cause: unknown) => send({ type: 'broken', why: messageOf(cause) }),
)
process.on('message', ({ id, texts }: ToChild) => void answer(id, texts))

async function open(path: string): Promise<Adapter> {
  const folder = openFolder(path)
  const { config } = folder
  const adapter = config.form === 'pieces' ? await openPieces(folder) : await openGliner(folder, config)
  for (const { text, finds } of config.selfTest) {
    const tags = await adapter.tag(text)
    const found = tags.map(({ kind, start, end }) => `${kind} "${text.slice(start, end)}"`)
    const wanted = finds.map((find) => `${find.kind} "${find.text}"`)
    if (found.join() !== wanted.join())
      throw new Error(
        `it fails its own test: it finds ${found.join(', ') || 'nothing'} for ${wanted.join(', ') || 'nothing'}`,
      )
  }
  return adapter
}

async function answer(id: number, texts: readonly string[]): Promise<void> {
  try {
    const adapter = await opened
    const tags = []
    for (const text of texts) tags.push(await adapter.tag(text))
    send({ type: 'tags', id, tags })
  } catch (cause) {
    send({ type: 'failed', id, why: messageOf(cause) })
  }
}

function send(message: FromChild): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {})
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
