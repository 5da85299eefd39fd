/** What stands in for a model in examples/mcp.ts: it looks one word up, and answers with what it saw. */
import type { Backend } from 'clawmesh'

export const rule: Backend = {
  model: {
    name: 'a-rule',
    digest: null,
    backend: 'rule',
    context: null,
    purpose: 'An example.',
    limits: 'It knows one word.',
  },
  async *generate({ messages }) {
    const seen = messages.find(({ role }) => role === 'tool')?.content.split('instructions: ')[1]
    const call = seen
      ? { name: 'finish', arguments: { answer: seen } }
      : { name: 'glossary_look-up', arguments: { word: 'actor' } }
    yield { type: 'call', call }
    yield { type: 'done', reason: 'call', usage: null }
  },
  dispose: async () => undefined,
}
