/** What a tool of an MCP server brought, as text of a bounded length. */
import type { CallToolResult } from '@modelcontextprotocol/client'

const longest = 16_384

export function textOf({ content, structuredContent }: CallToolResult): string {
  const parts = content.map((block) => {
    if (block.type === 'text') return block.text
    if (block.type === 'resource_link') return `[${block.uri}]`
    if (block.type === 'resource') return 'text' in block.resource ? block.resource.text : `[${block.resource.uri}]`
    return `[${block.type}, ${block.mimeType}, ${block.data.length} characters of base64]`
  })
  // A server that gives its result in both forms says the same twice.
  const text =
    parts.length === 0 && structuredContent !== undefined ? JSON.stringify(structuredContent) : parts.join('\n')
  return text.length <= longest
    ? text
    : `${text.slice(0, longest)}\n[${text.length - longest} more characters are left out]`
}
