/** The characters of an `x-charset`: '-' makes a range between two digits or two letters of one case, else it is itself. */
export function charactersOf(charset: string): string[] {
  const chars = [...charset]
  return chars.flatMap((char, i) => {
    const [from, to] = [chars[i - 1] ?? '', chars[i + 1] ?? '']
    if (char !== '-' || !isRange(from, to)) return [char]
    const first = from.charCodeAt(0)
    return Array.from({ length: to.charCodeAt(0) - first + 1 }, (_, n) => String.fromCharCode(first + n))
  })
}

function isRange(from: string, to: string): boolean {
  return [/^\d\d$/, /^[a-z]{2}$/, /^[A-Z]{2}$/].some((kind) => kind.test(from + to)) && from < to
}
