/**
 * Writes the training set of the tagger: features as the product itself makes them, so that there is no second telling of what a token looks like.
 *
 *     node dist/router/tagger/train/generate.js LISTS WORDS PROSE OUT SAMPLES SEED
 *
 * OUT.tokens: for each token 24 Int32 of its spelling; OUT.looks: 20 bytes, 0 or 1; OUT.kinds: a byte; OUT.lengths: an Int32 for each text.
 */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { canonical } from '../../view/canonical.js'
import { plainView } from '../../view/view.js'
import { Dictionary } from '../dictionary.js'
import { facts, featuresOf, tokensOf } from '../token.js'
import * as phrasings from './phrasings.js'

const [listsPath = '', wordsPath = '', prosePath = '', out = '', count = '1000', seed = '1'] = process.argv.slice(2)

interface Lists {
  first: string[]
  last: string[]
  common: { de: string[]; en: string[] }
  lastCommon: string[]
  cities: string[]
  german: string[]
  english: string[]
  terms: string[]
}
const lists: Lists = JSON.parse(readFileSync(listsPath, 'utf8'))
const dictionary = Dictionary.read(wordsPath)
const prose = readFileSync(prosePath, 'utf8').split('\n').filter(Boolean)
/** A family that is also a word is a word more often than not. */
const lastNames = lists.last.filter((name) => !dictionary.has(name.toLowerCase()))

let state = Number(seed) >>> 0
function random(): number {
  state = (state + 0x6d2b79f5) >>> 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
}
const below = (limit: number): number => Math.floor(random() * limit)
const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T
const chance = (share: number): boolean => random() < share
/** The front of a list is its common part. */
const skewed = <T>(from: readonly T[]): T => from[Math.floor(from.length * random() ** 2.5)] as T
const digits = (length: number): string => Array.from({ length }, () => below(10)).join('')
const capital = (word: string): string => (word[0]?.toUpperCase() ?? '') + word.slice(1)
const syllables =
  'ba,be,bi,bo,da,de,do,fa,fi,ga,go,ha,he,ja,ka,ke,ki,la,le,li,lo,ma,me,mi,na,ne,no,pa,po,ra,re,ri,ro,sa,se,si,so,ta,te,ti,to,va,ve,vi,xa,ze,zo,tal,ber,gen,hoff,mar,ken,ster,win,bor,dal,fen,grim,hol,kar,lund,mor,nor,pel,quin,rad,sten,tor,ulm,ver,wes,yar'.split(
    ',',
  )
/** No list has all names: some are nobody's. */
const coined = (): string => capital(Array.from({ length: 2 + below(2) }, () => pick(syllables)).join(''))

type Tongue = 'de' | 'en'
let tongue: Tongue = 'de'
const first = (): string => (chance(0.5) ? pick(lists.common[tongue]) : chance(0.06) ? coined() : pick(lists.first))
const lastOne = (): string => (chance(0.25) ? pick(lists.lastCommon) : chance(0.1) ? coined() : pick(lastNames))
const last = (): string => {
  const name = lastOne()
  return chance(0.05)
    ? `${name}-${lastOne()}`
    : chance(0.03)
      ? `${pick(['von', 'van', 'de', 'von der', 'van den', 'Mc', "O'", 'al-'])} ${name}`.replace(/(Mc|O'|al-) /, '$1')
      : name
}
const person = (): string => {
  const roll = random()
  if (roll < 0.06)
    return `${pick(['Dr.', 'Prof.', 'Prof. Dr.', 'Mr.', 'Mrs.', 'Ms.', 'Herr', 'Frau'])} ${first()} ${last()}`
  if (roll < 0.12) return `${first()} ${pick('ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split(''))}. ${last()}`
  if (roll < 0.16) return `${first()}-${first()} ${last()}`
  if (roll < 0.2) return `${first()} ${first()} ${last()}`
  if (roll < 0.24) return `${(first()[0] ?? 'A').toUpperCase()}. ${last()}`
  return `${first()} ${last()}`
}
const word = (): string => {
  if (chance(0.04)) return pick(lists.terms)
  return skewed(tongue === 'de' ? lists.german : lists.english)
}
const noun = (): string => {
  if (tongue === 'en') return word()
  for (let tries = 0; tries < 20; tries += 1) {
    const found = word()
    if (/^[A-Z]/.test(found)) return chance(0.15) ? found + word().toLowerCase() : found
  }
  return 'Sache'
}
const house = (): string => `${1 + below(240)}${chance(0.15) ? pick(['a', 'b', 'c', '/2', '-3', ' A']) : ''}`
const streetName = (): string => {
  if (tongue === 'de') {
    const ending = pick(phrasings.streetEndings.de)
    const stem = chance(0.35)
      ? last().replace(/ .*/, '')
      : chance(0.3)
        ? pick(lists.cities).split(' ')[0]
        : chance(0.1)
          ? coined()
          : capital(noun())
    const roll = random()
    if (roll < 0.5) return `${stem}${ending}`
    if (roll < 0.65) return `${first()}-${lastOne()}-${capital(ending)}`
    if (roll < 0.8) return `${capital(stem ?? '')}${chance(0.5) ? 'er' : ''} ${capital(ending)}`
    return `${pick(['Am', 'An der', 'Auf dem', 'Im', 'Zum', 'Unter den', 'In der', 'Alte', 'Neue', 'Große', 'Hintere'])} ${capital(noun())}`
  }
  const stem = chance(0.4) ? lastOne() : chance(0.3) ? pick(lists.cities).split(' ')[0] : capital(word())
  return `${chance(0.1) ? `${pick(['North', 'South', 'East', 'West', 'N', 'S', 'Old', 'Upper'])} ` : ''}${chance(0.1) ? `${below(90) + 1}th` : stem} ${pick(phrasings.streetEndings.en)}`
}
const street = (): string =>
  tongue === 'de'
    ? `${streetName()} ${house()}`
    : chance(0.85)
      ? `${below(9000) + 1} ${streetName()}${chance(0.15) ? `, ${pick(['Apt', 'Suite', 'Unit', 'Flat'])} ${below(40) + 1}` : ''}`
      : streetName()
const town = (): string => (chance(0.1) ? coined() : skewed(lists.cities))
const upper = (length: number): string => Array.from({ length }, () => pick('ABCDEFGHJKLMNPRSTUWY'.split(''))).join('')
const cityLine = (): string => {
  if (tongue === 'de')
    return `${chance(0.1) ? pick(['D-', 'A-', 'CH-']) : ''}${digits(chance(0.85) ? 5 : 4)} ${town()}${chance(0.05) ? `/${town()}` : ''}`
  return chance(0.6)
    ? `${town()}, ${pick('CA,NY,TX,IL,WA,OR,MA,FL,OH,GA,PA,CO,NC,MN'.split(','))} ${digits(5)}`
    : `${town()} ${upper(1 + below(2))}${below(30) + 1} ${below(9) + 1}${upper(2)}`
}
const organisation = (): string => {
  const name = (): string => (chance(0.4) ? lastOne() : chance(0.5) ? coined() : capital(noun()))
  const roll = random()
  if (roll < 0.45) return `${name()}${chance(0.2) ? ` ${capital(noun())}` : ''} ${pick(phrasings.orgEndings[tongue])}`
  if (roll < 0.58)
    return `${name()} ${pick(['&', 'und', 'and', '+'])} ${name()}${chance(0.6) ? ` ${pick(phrasings.orgEndings[tongue])}` : ''}`
  if (roll < 0.75) return `${pick(phrasings.orgHeads[tongue])} ${chance(0.7) ? town() : name()}`
  if (roll < 0.88) return `${chance(0.6) ? town() : name()} ${pick(phrasings.orgTails)}`
  if (roll < 0.94) return `${upper(3)}${chance(0.5) ? ` ${pick(phrasings.orgEndings[tongue])}` : ''}`
  return `${coined()}${chance(0.4) ? capital(pick(syllables)) : ''}`
}
const salad = (): string => {
  if (chance(0.3)) return pick(prose)
  const length = 3 + below(14)
  return capital(Array.from({ length }, word).join(' '))
}
const version = (): string => `${below(20)}.${below(30)}${chance(0.5) ? `.${below(20)}` : ''}`
const date = (): string =>
  pick([
    `${below(28) + 1}.${below(12) + 1}.${1950 + below(80)}`,
    `${1950 + below(80)}-0${below(9) + 1}-1${below(10)}`,
    `${pick(phrasings.months)} ${below(28) + 1}, ${1990 + below(40)}`,
    `${below(28) + 1}. ${pick(phrasings.months)} ${1990 + below(40)}`,
  ])
const email = (): string =>
  `${first().toLowerCase()}.${last()
    .toLowerCase()
    .replace(/[^a-z]/g, '')}@${coined().toLowerCase()}.${pick(['com', 'de', 'org'])}`

const kinds = { none: 0, person: 1, address: 2, organisation: 3 } as const
type Kind = (typeof kinds)[keyof typeof kinds]
const slots: Record<string, () => readonly [string, Kind]> = {
  per: () => [person(), kinds.person],
  first: () => [first(), kinds.person],
  last: () => [last(), kinds.person],
  formal: () => [`${pick(['Mr.', 'Mrs.', 'Ms.', 'Dr.', 'Mr', 'Ms', 'Professor'])} ${last()}`, kinds.person],
  adr: () => [`${street()}, ${cityLine()}`, kinds.address],
  adrline: () => [`${street()}\n${cityLine()}`, kinds.address],
  cityadr: () => [cityLine(), kinds.address],
  street: () => [street(), kinds.address],
  org: () => [organisation(), kinds.organisation],
  city: () => [town(), kinds.none],
  salad: () => [salad(), kinds.none],
  prose: () => [pick(prose), kinds.none],
  thing: () => [noun(), kinds.none],
  Thing: () => [capital(noun()), kinds.none],
  term: () => [pick(lists.terms), kinds.none],
  Term: () => [capital(pick(lists.terms)), kinds.none],
  job: () => [pick(phrasings.jobs), kinds.none],
  relation: () => [pick(phrasings.relations), kinds.none],
  month: () => [pick(phrasings.months), kinds.none],
  weekday: () => [pick(phrasings.weekdays), kinds.none],
  country: () => [pick(phrasings.countries), kinds.none],
  year: () => [String(1960 + below(80)), kinds.none],
  time: () => [`${below(24)}:${digits(2)}`, kinds.none],
  count: () => [String(below(chance(0.5) ? 100 : 100000)), kinds.none],
  version: () => [version(), kinds.none],
  date: () => [date(), kinds.none],
  email: () => [email(), kinds.none],
  phone: () => [
    pick([`+49 ${digits(3)} ${digits(7)}`, `0${digits(3)} ${digits(6)}`, `(${digits(3)}) 555-${digits(4)}`]),
    kinds.none,
  ],
}

type Part = readonly [text: string, kind: Kind]

/** What is not a part of a name in the answer: the titles before it. */
function withoutTitle([text, kind]: Part): Part[] {
  const title =
    kind === kinds.person ? /^(?:(?:Dr|Prof|Mr|Mrs|Ms|Herr|Frau|Professor)\.? )+/.exec(text)?.[0] : undefined
  return title === undefined
    ? [[text, kind]]
    : [
        [title, kinds.none],
        [text.slice(title.length), kind],
      ]
}

function fill(phrasing: string): Part[] {
  return phrasing
    .split(/\{(\w+)\}/)
    .flatMap((part, index): Part[] =>
      index % 2 === 0 ? [[part, kinds.none]] : withoutTitle(slots[part]?.() ?? ['', kinds.none]),
    )
}

/** Something of a kind in the middle of anything: what it is, is then told by its own looks alone. */
function dropped(): Part[] {
  const words = (chance(0.5) ? pick(prose) : salad()).split(' ')
  const parts: Part[] = []
  const place = below(words.length + 1)
  const put = slots[pick(['per', 'per', 'first', 'last', 'adr', 'street', 'org'])]
  if (words.slice(0, place).length > 0) parts.push([`${words.slice(0, place).join(' ')} `, kinds.none])
  parts.push(...withoutTitle(put?.() ?? ['', kinds.none]))
  if (place < words.length) parts.push([` ${words.slice(place).join(' ')}`, kinds.none])
  return parts
}

function sample(): Part[] {
  tongue = chance(0.5) ? 'de' : 'en'
  const roll = random()
  if (roll < 0.5) return fill(pick(tongue === 'de' ? phrasings.german : phrasings.english))
  if (roll < 0.72) return dropped()
  return fill(pick(phrasings.neither))
}

function cased(parts: readonly Part[]): readonly Part[] {
  const roll = random()
  if (roll < 0.33) return parts.map(([text, kind]) => [text.toLowerCase(), kind])
  if (roll < 0.36) return parts.map(([text, kind]) => [text.toUpperCase(), kind])
  if (roll < 0.4) return parts.map(([text, kind]) => [text.replace(/\b[a-z]/g, (letter) => letter.toUpperCase()), kind])
  return parts
}

const files = ['tokens', 'looks', 'kinds'].map((name) => openSync(`${out}.${name}`, 'w'))
const lengths: number[] = []
for (let made = 0; made < Number(count); made += 1) {
  const parts: Part[] = []
  for (let joined = chance(0.4) ? 2 + below(2) : 1; joined > 0; joined -= 1)
    parts.push(...cased(sample()), [joined > 1 ? pick(['\n', '\n\n', ' ']) : '', kinds.none])
  const raw = parts.map(([text]) => text).join('')
  const view = canonical(plainView(raw))
  const tokens = tokensOf(view.text).slice(0, 160)
  const kindAt = new Uint8Array(raw.length)
  let at = 0
  for (const [text, kind] of parts) {
    kindAt.fill(kind, at, at + text.length)
    at += text.length
  }
  const { spelling, looks } = featuresOf(view.text, tokens, dictionary)
  // Signs and line ends between the parts of an address belong to it.
  const labels = Uint8Array.from(tokens, ({ start, end }) => kindAt[view.origin(start, end).start] ?? 0)
  writeSync(files[0] as number, spelling)
  writeSync(files[1] as number, Uint8Array.from(looks))
  writeSync(files[2] as number, labels)
  lengths.push(tokens.length)
}
for (const file of files) closeSync(file)
writeFileSync(`${out}.lengths`, Int32Array.from(lengths))
process.stdout.write(
  `${lengths.length} texts, ${lengths.reduce((sum, each) => sum + each, 0)} tokens of ${facts} facts\n`,
)
