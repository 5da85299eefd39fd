/** An MCP server with the official SDK: it looks words up in a file of its workspace. The agent of examples/mcp.ts uses it. */
import { readFileSync } from 'node:fs'
import { McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'

serveStdio(() => {
  const server = new McpServer({ name: 'glossary', version: '1.0.0' })
  const description = 'What a word means here.'
  server.registerTool('look-up', { description, inputSchema: z.object({ word: z.string() }) }, ({ word }) => {
    const line = readFileSync('glossary.txt', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${word}: `))
    return { content: [{ type: 'text', text: line ?? `There is no ${word}.` }] }
  })
  return server
})
