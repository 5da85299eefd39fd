/** A whole number as a tool or the kernel writes it. undefined for anything else, and for one larger than any that can be meant: so they write what they do not know. */
export function wholeNumber(text: string | undefined, most = Number.MAX_SAFE_INTEGER): number | undefined {
  const number = text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : Number.NaN
  return number <= most ? number : undefined
}

/** The same of kibibytes or mebibytes, as bytes. */
export function wholeBytes(text: string | undefined, unit: number): number | undefined {
  const units = wholeNumber(text, Math.floor(Number.MAX_SAFE_INTEGER / unit))
  return units === undefined ? undefined : units * unit
}
