/** Control characters, marks that turn writing around, and separators that a terminal or a log would take for a new line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/**
 * Text that others had a hand in (paths, file contents, a model's words), safe to show at a terminal: nothing in it can move the cursor, erase or
 * recolour what clawmesh says. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
