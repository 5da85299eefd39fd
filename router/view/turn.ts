/** A text back to front, and with each letter thirteen further on; unit for unit. */
export const reversed = (text: string): string =>
  unitwise(text, (units) => {
    units.reverse()
  })

export const rotated = (text: string): string =>
  unitwise(text, (units) => {
    for (let at = 0; at < units.length; at += 1) units[at] = rotatedUnit(units[at] as number)
  })

export function rotatedUnit(code: number): number {
  const letter = code | 32
  if (code > 122 || letter < 97 || letter > 122) return code
  return letter < 110 ? code + 13 : code - 13
}

const room = new Uint16Array(1024)

/** Takes two bytes a unit on the way, however long the text is. */
function unitwise(text: string, change: (units: Uint16Array) => void): string {
  if (text.length <= room.length) {
    const units = room.subarray(0, text.length)
    for (let at = 0; at < text.length; at += 1) units[at] = text.charCodeAt(at)
    change(units)
    return String.fromCharCode.apply(null, units as unknown as number[])
  }
  const bytes = Buffer.allocUnsafeSlow(2 * text.length)
  bytes.write(text, 'utf16le')
  change(new Uint16Array(bytes.buffer, bytes.byteOffset, text.length))
  return bytes.toString('utf16le')
}
