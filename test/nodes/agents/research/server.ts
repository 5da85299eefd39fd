/** A model server that can do what a research asks of a model: plans by the question, copies the sentences that share a word with it, and writes with one citation. */
import { type ModelServer, serve, stream } from '../../../inference/openai/server.js'

interface Asked {
  messages: { content: string }[]
}

export function serveResearcher(word: RegExp): Promise<ModelServer> {
  const models = JSON.stringify({ object: 'list', data: [{ id: 'researcher', object: 'model' }] })
  return serve(models, (response, body) => {
    const { messages } = JSON.parse(body) as Asked
    const [system = '', user = ''] = messages.map(({ content }) => content)
    return stream(chunks(said(system, user)))(response, body)
  })

  function said(system: string, user: string): string {
    if (system.startsWith('You plan')) return JSON.stringify({ questions: [user.split('\n')[0]?.slice(10)] })
    if (system.startsWith('You answer')) return `It says so [${user.split('\n').length - 3}].`
    const source = user.slice(user.indexOf(':\n', user.indexOf('Source ')) + 2)
    return JSON.stringify({ quotes: source.split('\n').filter((line) => word.test(line)) })
  }
}

function chunks(text: string): string {
  const delta = JSON.stringify({ choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })
  const end = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
  const usage = { choices: [], usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 } }
  return [delta, JSON.stringify(end), JSON.stringify(usage), '[DONE]'].map((data) => `data: ${data}\n\n`).join('')
}
