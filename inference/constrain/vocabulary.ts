import { type CallState, type CallSymbol, marks } from './automaton.js'

/** What the constraint must know of a tokenizer: which symbols each token stands for. */
export class Vocabulary {
  private readonly symbols: readonly (readonly CallSymbol[])[]
  private readonly starting = new Map<CallSymbol, number[]>()

  private constructor(symbols: readonly (readonly CallSymbol[])[]) {
    this.symbols = symbols
    for (const [id, [first]] of symbols.entries())
      if (first !== undefined) this.starting.set(first, [...(this.starting.get(first) ?? []), id])
  }

  /** From a byte-level vocabulary: `spelling` gives a token as the vocabulary writes it, undefined past its end. */
  static byteLevel(
    size: number,
    spelling: (id: number) => string | undefined,
    special: ReadonlyMap<string, number>,
  ): Vocabulary {
    const ids = new Set(special.values())
    const symbols = Array.from({ length: size }, (_, id) => (ids.has(id) ? [] : bytesOf(spelling(id) ?? '')))
    for (const [mark, symbol] of Object.entries(markSymbols)) {
      const id = special.get(mark)
      if (id !== undefined) symbols[id] = [symbol]
    }
    return new Vocabulary(symbols)
  }

  /** True if the vocabulary has a token for each mark of the compact format. */
  get writesCalls(): boolean {
    return Object.values(markSymbols).every((symbol) => this.starting.has(symbol))
  }

  /** The tokens that may follow. */
  allowed(state: CallState): number[] {
    return [...state.next].flatMap((symbol) => (this.starting.get(symbol) ?? []).filter((id) => this.fits(id, state)))
  }

  /** The state behind a token, which must be one of `allowed`. */
  advance(state: CallState, id: number): CallState {
    return (this.symbols[id] ?? []).reduce((at, symbol) => at.push(symbol), state)
  }

  private fits(id: number, state: CallState): boolean {
    const symbols = this.symbols[id] ?? []
    if (symbols.length === 1) return true
    let at = state
    for (const symbol of symbols) {
      if (!at.next.has(symbol)) return false
      at = at.push(symbol)
    }
    return symbols.length > 0
  }
}

const markSymbols = { '<|call|>': marks.call, '<|arg|>': marks.arg, '<|end|>': marks.end }

/** Byte-level vocabularies spell a byte as a printable character: printable Latin-1 as itself, the others from U+0100 on. */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const printable = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173)
  let other = 256
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(printable(byte) ? byte : other++), byte] as const),
  )
})()

/** Empty for a token that is not spelled so: it is then never allowed. */
function bytesOf(spelling: string): number[] {
  const bytes = [...spelling].map((char) => byteOfCharacter.get(char))
  return bytes.includes(undefined) ? [] : bytes.filter((byte) => byte !== undefined)
}
