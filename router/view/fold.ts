/**
 * The plainest spelling of a character: ASCII where there is one that looks or means the same. Marks, and what has no width, fold to nothing.
 *
 * NFKD does most of it (full width, mathematical alphabets, circled and superscript characters, ligatures); the table holds what Unicode calls different
 * letters and people read as the same, after the Unicode confusables of Cyrillic, Greek, Armenian and the small capitals.
 */

const lookalikes: Record<string, string> = {
  ...pairs('аеорсухіјѕһԁԛԝѵӏгпкмтвнАВЕКМНОРСТУХІЈЅҺԌԚԜѴ', 'aeopcyxijshdqwvlrnkmtbhABEKMHOPCTYXIJSHGQWV'),
  ...pairs('αβγεζηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳ', 'abyeznikvoptuxwABEZHIKMNOPTYXcj'),
  ...pairs('օսոհցյզքԱՍՕ', 'ounhgjqpUUO'),
  ...pairs('ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ', 'abcdefghijklmnoprstuvwyz'),
  ...pairs('ıȷɑɡɩłøđħŧŀ', 'ijagilodhtl'),
  ...pairs('ᎠᎡᎢᎪᎫᎬᎳᎷᎻᏀᏃᏚᏞᏟᏢᏦᏴᏙᏔ', 'DRTAJEWMHGZSLCPKBVW'),
  ...pairs('〇零一二三四五六七八九', '00123456789'),
  ...pairs('⓿❶❷❸❹❺❻❼❽❾', '0123456789'),
  ...pairs('‐‑‒–—―−﹘⁃', '---------'),
  ...pairs('․‧∙·•・。｡', '........'),
  ...pairs('‘’‚‛“”„‟«»′″', '\'\'\'\'""""""\'"'),
  ...pairs('∕⁄⧸', '///'),
  ...pairs('ː∶꞉﹕', '::::'),
  ß: 'ss',
  æ: 'ae',
  Æ: 'AE',
  œ: 'oe',
  Œ: 'OE',
}

const folded: (string | undefined)[] = []

/** The folded form of one character, given by its code point. */
export function fold(point: number): string {
  const known = folded[point]
  if (known !== undefined) return known
  const made = foldAnew(point)
  // The rest of the planes is rare, and a table of it would be for an attacker to fill.
  if (point < 0x10000) folded[point] = made
  return made
}

const lettersFrom = [0x1f150, 0x1f170, 0x1f1e6]
const capitals = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

function foldAnew(point: number): string {
  // Tag characters spell ASCII that nobody sees.
  if (point >= 0xe0020 && point <= 0xe007e) return String.fromCharCode(point - 0xe0000)
  // Letters on a ground of their own, and those that flags are made of.
  for (const first of lettersFrom) if (point >= first && point < first + 26) return capitals[point - first] ?? ''
  const character = String.fromCodePoint(point)
  let text = ''
  for (const part of (lookalikes[character] ?? character).normalize('NFKD')) {
    if (/[\p{M}\p{Cf}\u{115F}\u{1160}\u{3164}\u{FFA0}\u{2800}]/u.test(part)) continue
    if (/[\p{Zs}\p{Zl}\p{Zp}]/u.test(part)) text += part === '\u2028' || part === '\u2029' ? '\n' : ' '
    else if (/\p{Nd}/u.test(part)) text += digitOf(part)
    else text += lookalikes[part] ?? part
  }
  return text
}

/** Unicode keeps the ten digits of a script together, and begins each ten where the one before is no digit. */
function digitOf(character: string): string {
  const point = character.codePointAt(0) ?? 0
  let zero = point
  while (point - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1
  return String((point - zero) % 10)
}

function pairs(from: string, to: string): Record<string, string> {
  const plain = [...to]
  return Object.fromEntries([...from].map((character, index) => [character, plain[index] ?? '']))
}
