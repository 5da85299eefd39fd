/** Words that every text may hold, English and German, in canonical spelling. What is in it is hardly a name; what is not may be one. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const shortestPart = 4
/** Answers that are kept, so that nobody fills the memory with words. */
const mostKept = 16_384
const longestKept = 64
const endings = ['s', 'es', 'n', 'en', 'e', "'s"]
/** Between the parts of a German word. */
const links = ['', 's', 'es', 'n', 'en', 'e']
/** A word that ends so is as likely a family or a place. */
const heads =
  /(?:mann|berg|berger|bach|bacher|stein|steiner|burg|dorf|dorfer|feld|felder|hof|hofer|bauer|meier|meyer|maier|muller|wald|heim|haus|hausen|hauser|tal|thal|brink|brinck|horst|rode|rath|schmidt|kamp|busch|holz|brecht|hardt|son|ton|ham|ford|field|wood|stone|ley|worth|well|man)$/

export class Dictionary {
  readonly #words: ReadonlySet<string>
  readonly #composed = new Map<string, boolean>()

  constructor(words: Iterable<string>) {
    this.#words = new Set(words)
  }

  /** @param path a word a line, gzip */
  static read(path: string): Dictionary {
    return new Dictionary(gunzipSync(readFileSync(path)).toString('utf8').split('\n'))
  }

  /** Is it a word, or the usual form of one? In small letters. */
  has(word: string): boolean {
    if (this.#words.has(word)) return true
    return endings.some((ending) => word.endsWith(ending) && this.#words.has(word.slice(0, -ending.length)))
  }

  /** Is it put together of words, as German does? Asked more than once for each word of a text, and the same words stand in the next. */
  composes(word: string): boolean {
    if (word.length < 2 * shortestPart) return false
    const known = this.#composed.get(word)
    if (known !== undefined) return known
    const composed = !heads.test(word) && this.#splits(word, 2)
    if (word.length > longestKept) return composed
    if (this.#composed.size >= mostKept) this.#composed.clear()
    this.#composed.set(word, composed)
    return composed
  }

  #splits(word: string, deepest: number): boolean {
    for (let cut = word.length - shortestPart; cut >= shortestPart; cut -= 1) {
      if (!this.has(word.slice(cut))) continue
      const first = word.slice(0, cut)
      for (const link of links) {
        if (!first.endsWith(link)) continue
        const bare = first.slice(0, first.length - link.length)
        if (bare.length < shortestPart - 1) continue
        if (this.#words.has(bare) || (deepest > 0 && this.#splits(bare, deepest - 1))) return true
      }
    }
    return false
  }
}
