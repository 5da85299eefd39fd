import { readFileSync } from 'node:fs'
import { ActionError } from './error.js'

/** A text file in UTF-8, without its byte order mark. */
export function readText(path: string): string {
  const bytes = readFileSync(path)
  if (bytes.includes(0)) throw new ActionError(`${path} is not a text file.`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ActionError(`${path} is not text in UTF-8.`)
  }
}
