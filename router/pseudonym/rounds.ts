/** A name is told by its neighbours too, and they change as it is redacted: texts are looked at again until nothing is found, or often enough. */
import type { Finding } from '../classify.js'
import { redactAgain } from './redact.js'
import type { Vault } from './vault.js'

const most = 4

/** Looks for names in texts, each by itself; rejects where it cannot. */
export type NameSearch = (texts: readonly string[]) => Promise<readonly (readonly Finding[])[]>

/** The same search, asked once for each text: what was looked at is not looked at again while one question is on its way. */
export function remembering(search: NameSearch): NameSearch {
  const known = new Map<string, readonly Finding[]>()
  return async (texts) => {
    const asked = [...new Set(texts)].filter((text) => !known.has(text))
    const found = asked.length > 0 ? await search(asked) : []
    for (const [index, text] of asked.entries()) known.set(text, found[index] ?? [])
    return texts.map((text) => known.get(text) ?? [])
  }
}

/** @param texts with pseudonyms of the vault in them. What is still found after the last round is left for the clearance to refuse. */
export async function withoutNames(
  texts: readonly string[],
  kinds: readonly string[],
  vault: Vault,
  search: NameSearch,
): Promise<readonly string[]> {
  let redacted = texts
  for (let round = 0; round < most; round += 1) {
    const names = await search(redacted)
    if (names.every((each) => each.length === 0)) return redacted
    redacted = redacted.map((text, index) => redactAgain(text, names[index] ?? [], kinds, vault))
  }
  return redacted
}
