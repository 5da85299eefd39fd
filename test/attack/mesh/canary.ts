/** Strings that must not be seen, searched in every spelling in which one writes bytes down. */

export interface Sighting {
  canary: string
  spelling: string
  where: string
}

export class Canaries {
  readonly #patterns: { canary: string; spelling: string; bytes: Buffer }[]

  constructor(canaries: string[]) {
    this.#patterns = canaries.flatMap((canary) =>
      spellings(canary).map(({ spelling, bytes }) => ({ canary, spelling, bytes })),
    )
  }

  search(where: string, bytes: Uint8Array): Sighting[] {
    const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return this.#patterns
      .filter((pattern) => haystack.includes(pattern.bytes))
      .map(({ canary, spelling }) => ({ canary, spelling, where }))
  }
}

export function spellings(canary: string): { spelling: string; bytes: Buffer }[] {
  const raw = Buffer.from(canary)
  const hex = raw.toString('hex')
  const wide = Buffer.from(canary, 'utf16le')
  return [
    { spelling: 'raw', bytes: raw },
    { spelling: 'reversed', bytes: Buffer.from(raw).reverse() },
    { spelling: 'hex', bytes: Buffer.from(hex) },
    { spelling: 'HEX', bytes: Buffer.from(hex.toUpperCase()) },
    { spelling: 'utf-16le', bytes: wide },
    { spelling: 'utf-16be', bytes: Buffer.from(wide).swap16() },
    { spelling: 'percent', bytes: Buffer.from(hex.replace(/../g, '%$&')) },
    { spelling: 'PERCENT', bytes: Buffer.from(hex.toUpperCase().replace(/../g, '%$&')) },
    { spelling: 'url', bytes: Buffer.from(encodeURIComponent(canary)) },
    ...[0, 1, 2].flatMap((shift) => [
      { spelling: `base64 at ${shift}`, bytes: base64At(raw, shift, 'base64') },
      { spelling: `base64url at ${shift}`, bytes: base64At(raw, shift, 'base64url') },
    ]),
  ]
}

/** The characters that are the canary's alone when it stands `shift` bytes into a group of three. */
function base64At(raw: Buffer, shift: number, encoding: 'base64' | 'base64url'): Buffer {
  const whole = raw.subarray(0, raw.length - ((raw.length + shift) % 3))
  const text = Buffer.concat([Buffer.alloc(shift), whole]).toString(encoding)
  return Buffer.from(text.slice(shift === 0 ? 0 : 4))
}
