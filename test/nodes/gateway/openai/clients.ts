/**
 * `npm run soak -- clients`: the official `openai` client and the Vercel AI SDK, as they are published, against a gateway. They want a newer Node than we do, so
 * they are installed into a folder of their own for the time of the run.
 */
import { execFile, spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '../../../kit/mesh.js'
import { openStand, shipped } from '../stand.js'
import { echo, joinEcho } from './echo.js'

const packages = ['openai@7', 'ai@7', '@ai-sdk/openai-compatible@3', 'zod@4']

export async function soakClients(): Promise<boolean> {
  const folder = temporaryFolder()
  const stand = await openStand()
  const server = await joinEcho(stand)
  try {
    writeFileSync(join(folder, 'package.json'), '{"type": "module", "private": true}')
    const installed = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--silent', ...packages], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (installed.status !== 0) throw new Error('the clients could not be installed')
    let clean = true
    for (const [name, program] of Object.entries({ openai, vercel })) {
      writeFileSync(join(folder, `${name}.js`), `${head(stand.url, stand.keyOf.developer)}${program}`)
      const run = promisify(execFile)(process.execPath, [`${name}.js`], { cwd: folder, timeout: 60_000 })
      const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error)
      const passed = stdout.trim().endsWith('all well')
      process.stdout.write(`${name}: ${passed ? stdout : `FAILED\n${stdout}${stderr}`}`)
      clean &&= passed
    }
    return clean
  } finally {
    await stand.close()
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const head = (url: string, key: string): string => `
import assert from 'node:assert/strict'
import { z } from 'zod'
const [baseURL, apiKey, shipped, echo] = ${JSON.stringify([`${url}/v1`, key, shipped, echo])}
const user = (content) => [{ role: 'user', content }]
const ada = '{"name": "Ada", "age": 36}'
const schema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false }
`

const openai = `
import OpenAI from 'openai'
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 })
const names = (await client.models.list()).data.map(({ id }) => id)
assert.ok(names.includes(shipped) && names.includes(echo))
const plain = await client.chat.completions.create({ model: shipped, messages: user('12 + 7'), temperature: 0 })
assert.ok(plain.choices[0].message.content.length > 0 && plain.usage.total_tokens > 0)
let text = ''
let usage
for await (const chunk of await client.chat.completions.create({ model: shipped, messages: user('12 + 7'), temperature: 0, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta?.content ?? ''
  usage = chunk.usage ?? usage
}
assert.equal(text, plain.choices[0].message.content)
assert.deepEqual(usage, plain.usage)
const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object', properties: { at: { type: 'string' } }, required: ['at'] } } }]
const called = await client.chat.completions.create({ model: echo, messages: user('call look {"at":"x"}'), tools })
assert.deepEqual(JSON.parse(called.choices[0].message.tool_calls[0].function.arguments), { at: 'x' })
const response_format = { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } }
const parsed = await client.chat.completions.parse({ model: echo, messages: user(ada), response_format })
assert.deepEqual(parsed.choices[0].message.parsed ?? JSON.parse(parsed.choices[0].message.content), { name: 'Ada', age: 36 })
await assert.rejects(client.chat.completions.create({ model: echo, messages: user('no'), response_format }), ({ status, code }) => status === 502 && code === 'MODEL_FAILED')
const completed = await client.completions.create({ model: shipped, prompt: '12 + 7', temperature: 0, max_tokens: 64 })
assert.equal(completed.choices[0].text, text)
// The client asks for packed vectors by itself.
const made = await client.embeddings.create({ model: echo, input: ['four', 'of'] })
assert.deepEqual(made.data.map(({ embedding }) => [...embedding]), [[4, 0.25], [2, 0.25]])
await assert.rejects(client.embeddings.create({ model: shipped, input: 'a' }), ({ status }) => status === 404)
await assert.rejects(new OpenAI({ baseURL, apiKey: 'cm_wrong', maxRetries: 0 }).models.list(), OpenAI.AuthenticationError)
console.log('models, chat, stream, usage, tools, schema, text, embeddings, errors: all well')
`

const vercel = `
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from 'ai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
const mesh = createOpenAICompatible({ name: 'clawmesh', baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true })
const once = { maxRetries: 0, temperature: 0 }
const plain = await generateText({ ...once, model: mesh(shipped), prompt: '12 + 7' })
assert.ok(plain.text.length > 0 && plain.usage.totalTokens > 0)
const streamed = streamText({ ...once, model: mesh(shipped), prompt: '12 + 7' })
let text = ''
for await (const piece of streamed.textStream) text += piece
assert.equal(text, plain.text)
assert.equal((await streamed.usage).totalTokens, plain.usage.totalTokens)
const look = tool({ description: 'Look.', inputSchema: z.object({ at: z.string() }), execute: async ({ at }) => \`seen \${at}\` })
const called = await generateText({ ...once, model: mesh(echo), prompt: 'call look {"at":"x"}', tools: { look }, stopWhen: stepCountIs(2) })
assert.equal(called.steps[0].toolResults[0].output, 'seen x')
const person = z.object({ name: z.string(), age: z.number().int() })
const made = await generateText({ ...once, model: mesh(echo), prompt: ada, output: Output.object({ schema: person }) })
assert.deepEqual(made.output, { name: 'Ada', age: 36 })
const { embeddings } = await embedMany({ maxRetries: 0, model: mesh.embeddingModel(echo), values: ['four', 'of'] })
assert.deepEqual(embeddings, [[4, 0.25], [2, 0.25]])
const completed = await generateText({ ...once, model: mesh.completionModel(shipped), prompt: '12 + 7', maxOutputTokens: 64 })
assert.ok(completed.text.length > 0)
console.log('chat, stream, usage, tools in steps, objects, embeddings, text: all well')
`
