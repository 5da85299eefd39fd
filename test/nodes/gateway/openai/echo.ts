/** A model server on this machine as the mesh finds many: it says what the last message tells it to say, and makes vectors. */
import { OpenAiBackend } from '../../../../inference/openai/backend.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import { type ModelServer, serve } from '../../../inference/openai/server.js'
import { eventually } from '../../../kit/eventually.js'
import type { Stand } from '../stand.js'

export const echo = 'echo'

interface Asked {
  messages: { role: string; content: string | [{ text: string }] }[]
  tools?: { function: { name: string } }[]
  max_tokens: number
}

/** As llama.cpp says that a model takes images. */
const capabilities = ['completion', 'multimodal']

/** `call NAME ARGUMENTS` has it call a tool, anything else it says. */
export async function joinEcho(stand: Stand): Promise<ModelServer> {
  const server = await serve(
    JSON.stringify({ data: [{ id: echo }], models: [{ name: echo, capabilities }] }),
    answer,
    embed,
  )
  const backend = await OpenAiBackend.open({ url: server.url })
  const node = await stand.mesh.join('echo', { roles: ['inference'] })
  await serveModel(node, backend)
  await eventually(() => {
    if (!stand.front.nodes().some(({ advert }) => advert['model'] === echo)) throw new Error('echo is not seen yet')
  })
  return server
}

function answer(response: Parameters<Parameters<typeof serve>[1]>[0], body: string): void {
  const { messages, max_tokens } = JSON.parse(body) as Asked
  const last = messages.at(-1)?.content ?? ''
  const said = typeof last === 'string' ? last : last[0].text
  const [, name, written] = /^call (\S+) (.*)$/s.exec(said) ?? []
  const words = said.split(/(?<= )/).slice(0, max_tokens)
  const reason = name ? 'tool_calls' : words.join('') === said ? 'stop' : 'length'
  const delta = (part: object, end: string | null = null) =>
    response.write(`data: ${JSON.stringify({ choices: [{ delta: part, finish_reason: end }] })}\n\n`)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (name) delta({ tool_calls: [{ index: 0, function: { name, arguments: written } }] })
  else for (const word of words) delta({ content: word })
  delta({}, reason)
  const usage = { prompt_tokens: messages.length, completion_tokens: words.length }
  response.end(`data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`)
}

/** `refuse STATUS` has it answer that. Of each text its length and a quarter; the last first, since nothing says in which order they come. */
function embed(response: Parameters<Parameters<typeof serve>[1]>[0], body: string): void {
  const { input } = JSON.parse(body) as { input: string[] }
  const [, status] = /^refuse (\d+)$/.exec(input[0] ?? '') ?? []
  if (status) return void response.writeHead(Number(status)).end('not with this one')
  const data = input.map((text, index) => ({ index, embedding: [text.length, 0.25] })).reverse()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ data, usage: { prompt_tokens: input.length } }))
}
