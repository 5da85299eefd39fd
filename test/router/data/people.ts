/**
 * Texts with names, addresses and organisations in them, for figures alone. No phrasing is one that the tagger was trained on, and half of the names are in no
 * list that it was trained on (router/tagger/train/heldout.json).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../../mesh/installation.js'
import type { Sample } from './template.js'
import { Values } from './values.js'

interface HeldOut {
  readonly first: readonly string[]
  readonly last: readonly string[]
  readonly street: readonly string[]
  readonly city: readonly string[]
  readonly org: readonly string[]
}

const unseen: HeldOut = JSON.parse(
  readFileSync(join(installation, 'router', 'tagger', 'train', 'heldout.json'), 'utf8'),
)
const usual: HeldOut = {
  first:
    'Anna,Thomas,Sabine,Markus,Julia,Stefan,Laura,Michael,Fatma,Jan,Emily,James,Sarah,Robert,Olivia,William,Priya,Carlos,Sofia,Ahmed'.split(
      ',',
    ),
  last: 'Müller,Schmidt,Krüger,Hoffmann,Schäfer,Lehmann,Kowalski,Yılmaz,Neumann,Schröder,Smith,Johnson,Williams,Taylor,Anderson,Murphy,Patel,Garcia,Rossi,Nguyen'.split(
    ',',
  ),
  street: 'Goethe,Bahnhof,Schiller,Garten,Kirch,Linden,Berg,Mozart,Oak,Main,Park,Maple,Church,Victoria,Mill'.split(','),
  city: 'Hamburg,Leipzig,Freiburg,Münster,Graz,Basel,Bristol,Leeds,Denver,Portland'.split(','),
  org: 'Siemens,Bosch,Lindner,Brenner,Acme,Northwind,Globex,Harrison'.split(','),
}

type Tongue = 'de' | 'en'
const slots: Record<string, { kind: string; make: (v: Values, from: HeldOut, tongue: Tongue) => string }> = {
  who: { kind: 'name', make: (v, from) => `${v.pick(from.first)} ${v.pick(from.last)}` },
  given: { kind: 'name', make: (v, from) => v.pick(from.first) },
  family: { kind: 'name', make: (v, from) => v.pick(from.last) },
  road: { kind: 'address', make: (v, from, tongue) => road(v, from, tongue) },
  where: { kind: 'address', make: (v, from, tongue) => `${road(v, from, tongue)}, ${town(v, from, tongue)}` },
  lines: { kind: 'address', make: (v, from, tongue) => `${road(v, from, tongue)}\n${town(v, from, tongue)}` },
  firm: { kind: 'organisation', make: (v, from, tongue) => firm(v, from, tongue) },
}

function road(v: Values, { street }: HeldOut, tongue: Tongue): string {
  const stem = v.pick(street)
  if (tongue === 'de')
    return `${stem}${v.pick(['straße', 'weg', 'str.', 'allee', 'gasse', 'platz'])} ${1 + v.below(180)}${v.pick(['', '', '', 'a', 'b'])}`
  return `${1 + v.below(4000)} ${stem} ${v.pick(['Street', 'Road', 'Avenue', 'Lane', 'Drive', 'St', 'Close'])}`
}

function town(v: Values, { city }: HeldOut, tongue: Tongue): string {
  if (tongue === 'de') return `${v.digits(5)} ${v.pick(city)}`
  return v.pick([
    `${v.pick(city)}, ${v.pick(['CA', 'NY', 'TX', 'WA', 'OH'])} ${v.digits(5)}`,
    `${v.pick(city)} ${v.pick(['SW', 'LS', 'BS', 'N'])}${1 + v.below(9)} ${1 + v.below(9)}${v.pick(['AB', 'QT', 'XR'])}`,
  ])
}

function firm(v: Values, { org, city }: HeldOut, tongue: Tongue): string {
  const name = v.pick(org)
  return tongue === 'de'
    ? v.pick([
        `${name} GmbH`,
        `${name} AG`,
        `${name} & Söhne KG`,
        `Stadtwerke ${v.pick(city)}`,
        `Klinikum ${v.pick(city)}`,
        `${name} Versicherung`,
      ])
    : v.pick([
        `${name} Inc.`,
        `${name} Ltd`,
        `${name} Partners`,
        `University of ${v.pick(city)}`,
        `${name} Technologies`,
        `${v.pick(city)} Hospital`,
      ])
}

const german: readonly string[] = [
  'Können wir den Termin mit {who} auf Donnerstag verschieben? {given} ist diese Woche krank.',
  'Gestern hat {who} die Kündigung eingereicht, bitte bereite das Gespräch vor.',
  'Formuliere eine Absage an Bewerberin {who}, sie wohnt in der {road}.',
  'Paket für {who} bitte in der {road} beim Nachbarn {family} abgeben.',
  'Unsere neue Niederlassung: {firm}, {where}.',
  'Die {firm} schuldet uns noch 4.000 Euro, wie mahnt man {who} höflich?',
  'Absender\n{who}\n{lines}\n\nBetrifft: Umzug',
  'War {given} bei der Prüfung dabei, oder nur {given} und {given}?',
  'Frau {family} und Herr {family} haben sich über den Lärm beklagt.',
  'Der Hausarzt heißt Dr. {family} und hat seine Praxis in der {road}.',
  'Hallo, ich heiße {who} und suche eine Wohnung in der Nähe der Schule.',
  'Überarbeite meinen Lebenslauf: {who}, {where}, zuletzt bei {firm} beschäftigt.',
  'Die Eigentümerversammlung leitet {who}; vertreten wird sie von {who}.',
  'Wer vertritt {who}, wenn {given} im Urlaub ist?',
  'Die Rede hielt {who} von der {firm} vor zweihundert Gästen.',
  'Angebot für {firm}, zu Händen {who}: zwölf Drucker, Lieferung frei Haus.',
  'Mandant {who} gegen {firm}: Fristverlängerung beantragen.',
  'Wie buchstabiert man {family} am Telefon?',
  'Gratuliere {given} zum Geburtstag, er wird am Samstag vierzig.',
  'Vorname: {given}\nFamilienname: {family}\nWohnort: {where}',
  'Den Mietvertrag für {where} hat {who} unterschrieben.',
  'Im Verteiler stehen {who}, {who} und die {firm}.',
]
const english: readonly string[] = [
  'Could we move the appointment with {who} to Thursday? {given} is ill this week.',
  '{who} handed in her notice yesterday, please prepare the talk.',
  'Write a polite refusal to {who}, whose flat is at {where}.',
  'The parcel for {who} can be left with {family} next door at {road}.',
  'Our new branch: {firm}, {where}.',
  '{firm} still owes us four thousand dollars, how do I remind {who} kindly?',
  'Return address\n{who}\n{lines}\n\nRe: moving house',
  'Was {given} at the exam, or only {given} and {given}?',
  'Mrs {family} and Mr {family} have complained about the noise.',
  'The family doctor is Dr {family}, with rooms in {road}.',
  'Hello, I am called {who} and I am looking for a flat near the school.',
  'Improve my CV: {who}, {where}, most recently employed by {firm}.',
  'The owners will be represented by {who}, or by {who} if she is away.',
  'Who stands in for {who} while {given} is on holiday?',
  'The keynote was given by {who} of {firm} to two hundred guests.',
  'Quotation for {firm}, attention of {who}: twelve printers, free delivery.',
  'Client {who} versus {firm}: apply for more time.',
  'How do you spell {family} over the phone?',
  'Wish {given} a happy birthday, he turns forty on Saturday.',
  'First name: {given}\nSurname: {family}\nResidence: {where}',
  'The lease for {where} was signed by {who}.',
  'The mailing list has {who}, {who} and {firm} on it.',
]

export interface PeopleSample extends Sample {
  /** Its names are in no list of the training. */
  readonly isUnseen: boolean
}

/** `each` samples of each phrasing, by turns with usual names and with such as the tagger has never met. */
export function people(each: number, seed: number): PeopleSample[] {
  const values = new Values(seed)
  return (['de', 'en'] as const).flatMap((tongue) =>
    (tongue === 'de' ? german : english).flatMap((phrasing) =>
      Array.from({ length: each }, (_, round) => filled(phrasing, values, round % 2 === 1, tongue)),
    ),
  )
}

function filled(phrasing: string, values: Values, isUnseen: boolean, tongue: Tongue): PeopleSample {
  const marked: { kind: string; start: number; end: number }[] = []
  let text = ''
  for (const [index, part] of phrasing.split(/\{(\w+)\}/).entries()) {
    const slot = index % 2 === 1 ? slots[part] : undefined
    const value = slot?.make(values, isUnseen ? unseen : usual, tongue) ?? part
    if (slot) marked.push({ kind: slot.kind, start: text.length, end: text.length + value.length })
    text += value
  }
  return { text, marked, isUnseen }
}
