/**
 * What a program of yours has for MCP clients. While a mesh runs on this machine: clawmesh catalog examples/catalog.mjs
 * Whoever has a key of the gateway, or starts `clawmesh mcp`, finds it beside the tools of the mesh.
 */
const shelf = new Map([['Emma', 'Jane Austen']])

export default ({ catalogTool, ownTool, z }) => ({
  name: 'library',
  tools: [
    catalogTool({
      name: 'lend',
      description: 'Lends a book to the person who asks.',
      args: z.object({ title: z.string() }),
      run: async ({ title }, caller) => {
        const form = { type: 'object', properties: { days: { type: 'integer', default: 7 } } }
        const { action, content } = await caller.elicit({ message: `For how many days do you want ${title}?`, form })
        return action === 'accept' ? `${title} is yours for ${content.days} days.` : `${title} stays here.`
      },
    }),
    // Runs in a sandbox, under the policy of its machine.
    ownTool({
      name: 'fine',
      description: 'What a book costs that is brought back late.',
      args: z.object({ days: z.number() }),
      run: ({ days }) => `${(days * 0.2).toFixed(2)} EUR`,
    }),
  ],
  resources: [
    {
      uri: 'library://book/{title}',
      name: 'book',
      description: 'Who wrote it.',
      read: ({ title }) => shelf.get(title) ?? 'nobody',
      complete: { title: (typed) => [...shelf.keys()].filter((title) => title.startsWith(typed)) },
    },
  ],
  prompts: [
    {
      name: 'review',
      description: 'Asks for a review of a book.',
      args: { title: { description: 'of which', complete: () => [...shelf.keys()] } },
      say: ({ title }) => `Write a review of ${title}, in ten lines.`,
    },
  ],
})
