/**
 * Control characters, marks that turn writing around or are not seen at all, and separators that a terminal or a log would take for a new line. Not the selectors of
 * the form of a character before them.
 */
const unprintable = /(?!\n|\t|\ufe0e|\ufe0f)[\p{Cc}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu

/**
 * Text that others had a hand in (paths, file contents, a model's words), safe to show at a terminal: nothing in it can move the cursor, erase or
 * recolour what clawmesh says. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
