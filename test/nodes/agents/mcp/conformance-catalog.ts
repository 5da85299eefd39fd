/** What the conformance suite asks of every server by names of its own, as any program of a mesh offers what it has: `serveCatalog(node, suitesCatalog)`. */
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { type Catalog, catalogTool } from '../../../../nodes/catalog/catalog.js'
import type { Content, Elicit } from '../../../../nodes/catalog/content.js'
import { ClawmeshError } from '../../../../policies/errors.js'

/** One red point. */
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
/** No sound at all. */
const wav = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA='
const image: Content = { type: 'image', data: png, mimeType: 'image/png' }
const textIn = (uri: string, mimeType: string, text: string): Content => ({
  type: 'resource',
  resource: { uri, mimeType, text },
})

const plain = (name: string, run: () => string | Content[]) =>
  catalogTool({ name, description: 'For the suite.', args: z.object({}), readOnly: true, run })

const form = (properties: Elicit['form']['properties'], required: string[]): Elicit['form'] => ({
  type: 'object',
  properties,
  required,
})
const asking = (name: string, question: Elicit) =>
  catalogTool({
    name,
    description: 'For the suite.',
    args: z.object({}),
    run: async (_, caller) => `It said: ${JSON.stringify(await caller.elicit(question))}`,
  })

const titled = ['one', 'two', 'three'].map((value) => ({ const: `value${value}`, title: `The ${value}` }))
const words = ['option1', 'option2', 'option3']

export const suitesCatalog: Catalog = {
  name: 'suite',
  tools: [
    plain('test_simple_text', () => 'This is a simple text response for testing.'),
    plain('test_image_content', () => [image]),
    plain('test_audio_content', () => [{ type: 'audio', data: wav, mimeType: 'audio/wav' }]),
    plain('test_embedded_resource', () => [
      textIn('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
    ]),
    plain('test_multiple_content_types', () => [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      textIn('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ]),
    plain('test_error_handling', () => {
      throw new ClawmeshError('TASK_FAILED', 'This tool intentionally returns an error for testing')
    }),
    catalogTool({
      name: 'json_schema_2020_12_tool',
      description: 'For the suite.',
      args: z.strictObject({
        name: z.string().optional(),
        address: z
          .object({ street: z.string().optional(), city: z.string().optional() })
          .meta({ id: 'address' })
          .optional(),
      }),
      run: () => '',
    }),
    catalogTool({
      name: 'test_tool_with_progress',
      description: 'For the suite.',
      args: z.object({}),
      run: async (_, caller) => {
        for (const done of [0, 50, 100]) {
          caller.progress(done, 100, `${done} of 100`)
          await setTimeout(50)
        }
        return 'It is done.'
      },
    }),
    catalogTool({
      name: 'test_tool_with_logging',
      description: 'For the suite.',
      args: z.object({}),
      run: async (_, caller) => {
        for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
          caller.log('info', line)
          await setTimeout(50)
        }
        return 'It is done.'
      },
    }),
    catalogTool({
      name: 'test_sampling',
      description: 'For the suite.',
      args: z.object({ prompt: z.string() }),
      run: async ({ prompt }, caller) => {
        const { text } = await caller.sample({ messages: [{ role: 'user', text: prompt }], maxTokens: 100 })
        return `LLM response: ${text}`
      },
    }),
    catalogTool({
      name: 'test_elicitation',
      description: 'For the suite.',
      args: z.object({ message: z.string() }),
      run: async ({ message }, caller) => {
        const person = { username: { type: 'string' }, email: { type: 'string' } }
        const said = await caller.elicit({ message, form: form(person, ['username', 'email']) })
        return `User response: ${JSON.stringify(said)}`
      },
    }),
    asking('test_elicitation_sep1034_defaults', {
      message: 'Who are you?',
      form: form(
        {
          name: { type: 'string', default: 'John Doe' },
          age: { type: 'integer', default: 30 },
          score: { type: 'number', default: 95.5 },
          status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
          verified: { type: 'boolean', default: true },
        },
        [],
      ),
    }),
    asking('test_elicitation_sep1330_enums', {
      message: 'Which?',
      form: form(
        {
          untitledSingle: { type: 'string', enum: words },
          titledSingle: { type: 'string', oneOf: titled },
          legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['One', 'Two'] },
          untitledMulti: { type: 'array', items: { type: 'string', enum: words } },
          titledMulti: { type: 'array', items: { anyOf: titled } },
        },
        [],
      ),
    }),
  ],
  resources: [
    {
      uri: 'test://static-text',
      name: 'static text',
      description: 'For the suite.',
      mimeType: 'text/plain',
      read: () => 'This is the content of the static text resource.',
    },
    {
      uri: 'test://static-binary',
      name: 'static bytes',
      description: 'For the suite.',
      mimeType: 'image/png',
      read: () => Buffer.from(png, 'base64'),
    },
    {
      uri: 'test://template/{id}/data',
      name: 'one of many',
      description: 'For the suite.',
      mimeType: 'application/json',
      read: ({ id = '' }) => JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
    },
    {
      uri: 'test://watched-resource',
      name: 'watched',
      description: 'For the suite.',
      read: () => String(Date.now()),
      changes: async function* (_, signal) {
        for (;;) yield await setTimeout(1000, undefined, { signal })
      },
    },
  ],
  prompts: [
    { name: 'test_simple_prompt', description: 'For the suite.', say: () => 'This is a simple prompt for testing.' },
    {
      name: 'test_prompt_with_arguments',
      description: 'For the suite.',
      args: {
        arg1: {
          description: 'one',
          complete: (typed) => ['paris', 'park', 'party'].filter((each) => each.startsWith(typed)),
        },
        arg2: { description: 'two' },
      },
      say: ({ arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
    },
    {
      name: 'test_prompt_with_embedded_resource',
      description: 'For the suite.',
      args: { resourceUri: { description: 'which' } },
      say: ({ resourceUri = '' }) => [
        { role: 'user', content: textIn(resourceUri, 'text/plain', 'Embedded resource content for testing.') },
        { role: 'user', content: { type: 'text', text: 'Please process the embedded resource above.' } },
      ],
    },
    {
      name: 'test_prompt_with_image',
      description: 'For the suite.',
      say: () => [
        { role: 'user', content: image },
        { role: 'user', content: { type: 'text', text: 'Please analyze the image above.' } },
      ],
    },
  ],
}
