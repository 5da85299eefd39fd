import type { GenerateRequest, Usage } from './backend.js'

/** What a template puts around the messages, and says of tools; and tiles of an image, of which models make some hundreds to thousands of tokens. */
const [aroundAll, aroundEach, ofImage] = [2048, 64, 32_768]

/**
 * What a server says that an answer used, as far as it can be true: by it budgets are spent, money is counted and speeds are learned. No tokenizer makes more tokens of a text than it has
 * bytes, and no answer has more than it was let have.
 */
export function credible({ messages, tools, maxTokens }: GenerateRequest, usage: Usage): Usage {
  const bytes = (text: string) => Buffer.byteLength(text)
  const said = messages.reduce((sum, { content, images }) => {
    return sum + bytes(content) + aroundEach + ofImage * (images?.length ?? 0)
  }, aroundAll)
  // Some templates say tools twice: how they are called, and what they are.
  const promptTokens = Math.min(usage.promptTokens, said + 2 * bytes(JSON.stringify(tools ?? [])))
  const { cachedTokens } = usage
  return {
    ...usage,
    promptTokens,
    outputTokens: Math.min(usage.outputTokens, maxTokens),
    ...(cachedTokens === undefined ? {} : { cachedTokens: Math.min(cachedTokens, promptTokens) }),
  }
}
