/**
 * How sensitive is a text, and what in it makes it so? Pure, and linear in the text.
 *
 *     const { label, categories, findings } = classify('Mail anna@example.org', settings)
 *     // CONFIDENTIAL, ['PII'], one finding: email, 5 to 21
 */

import { ClawmeshError } from '../policies/errors.js'
import type { Category, Label, Sensitivity } from '../policies/router-label.js'
import { type Detector, type DetectorSettings, detectors } from './detect/detectors.js'
import { type Kind, type KindInfo, kinds } from './detect/kind.js'
import { type Found, read } from './detect/reading.js'
import { mirrorsIn, rotationsIn } from './detect/turned.js'
import { wordedIn } from './detect/worded.js'
import { joinSensitivity, sensitivityOf } from './label.js'
import type { Span, View } from './view/view.js'
import { readViews } from './view/views.js'

export interface Finding {
  readonly kind: Kind
  /** The family of a secret, the name of a person's own pattern. */
  readonly of?: string
  readonly label: Label
  readonly category?: Category
  /** Of the text as it was given. */
  readonly span: Span
  /** How the text had to be read to find it; empty where it stands in the open. */
  readonly steps: readonly string[]
}

export interface Classification extends Sensitivity {
  /** In the order of their spans. */
  readonly findings: readonly Finding[]
}

export interface ClassifySettings extends DetectorSettings {
  /** What a text is of which nothing else is known. */
  readonly unmarked: Label
  /** Kinds that count for more or less than usual. */
  readonly kinds?: Readonly<Partial<Record<Kind, Partial<KindInfo>>>>
  /** Detectors beside the usual ones: a person's own patterns. */
  readonly more?: readonly Detector[]
  /** What those patterns count for, by their names. */
  readonly named?: ReadonlyMap<string, KindInfo>
}

/** In UTF-16 units. */
export const longestText = 12 * 1024 * 1024
const mostFindings = 5000
const everywhere = { mirrored: undefined, rotated: undefined }

/**
 * @throws ClawmeshError DENIED for a text that is too long to be judged
 * @throws whatever a detector throws: a text that was not read in full has no label
 */
export function classify(text: string, settings: ClassifySettings): Classification {
  if (text.length > longestText) {
    throw new ClawmeshError(
      'DENIED',
      `A text of ${text.length} characters is too long to be judged, so it goes nowhere.`,
      {
        hint: `Give it in parts of at most ${longestText} characters.`,
      },
    )
  }
  const collected = new Collection(settings)
  const all = settings.more ? [...detectors, ...settings.more] : detectors
  const unread = readViews(text, (view, facts) => {
    const reading = read(view, facts)
    for (const detector of all) if (!collected.isFull) collected.add(view, detector.find(reading, settings))
    return {
      isEnough: collected.isFull,
      wordedDigits: wordedIn(reading),
      spokenSigns: reading.words('spoken').length > 0,
      shortSecrets: reading.shortSecrets,
      // A person's own patterns find what no word announces.
      ...(view.lossy || settings.more?.length
        ? everywhere
        : { mirrored: mirrorsIn(reading), rotated: rotationsIn(reading) }),
    }
  })
  for (const { kind, span } of unread) collected.put(kind, undefined, span, [])
  if (collected.isFull) collected.put('unread', undefined, { start: 0, end: text.length }, [])
  const findings = collected.findings.sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end)
  return {
    ...joinSensitivity([{ label: settings.unmarked, categories: [] }, ...collected.counted]),
    findings,
  }
}

/** Findings without repetition: what stands in the open is not found once more in another reading of the same place. */
class Collection {
  readonly findings: Finding[] = []
  readonly #settings: ClassifySettings
  readonly #byKind = new Map<Kind, Span[]>()
  /** What the kinds that were found count for; of many thousand finds there are few. */
  readonly #counts = new Map<string, Sensitivity>()

  constructor(settings: ClassifySettings) {
    this.#settings = settings
  }

  get counted(): Iterable<Sensitivity> {
    return this.#counts.values()
  }

  get isFull(): boolean {
    return this.findings.length >= mostFindings
  }

  add(view: View, found: Iterable<Found>): void {
    for (const { kind, start, end, of } of found) {
      if (this.isFull) return
      const span = view.origin(start, end)
      const steps = view.stepsAt(start)
      const isKnown =
        steps.length > 0 && this.#byKind.get(kind)?.some((other) => other.start < span.end && span.start < other.end)
      if (!isKnown) this.put(kind, of, span, steps)
    }
  }

  put(kind: Kind, of: string | undefined, span: Span, steps: readonly string[]): void {
    const finding = findingOf(kind, of, span, steps, this.#settings)
    this.findings.push(finding)
    const name = of === undefined ? kind : `${kind} ${of}`
    if (!this.#counts.has(name)) this.#counts.set(name, sensitivityOf(finding))
    const spans = this.#byKind.get(kind)
    if (spans) spans.push(span)
    else this.#byKind.set(kind, [span])
  }
}

/** With what it counts for by the settings. Written out, since a copy of an object costs more than the find itself. */
export function findingOf(
  kind: Kind,
  of: string | undefined,
  span: Span,
  steps: readonly string[],
  settings: ClassifySettings,
): Finding {
  const usual: KindInfo = kinds[kind]
  const bySettings = settings.kinds?.[kind]
  const byName = kind === 'custom' && of !== undefined ? settings.named?.get(of) : undefined
  const label = byName?.label ?? bySettings?.label ?? usual.label
  const category = byName?.category ?? bySettings?.category ?? usual.category
  if (of === undefined)
    return category === undefined ? { kind, label, span, steps } : { kind, label, category, span, steps }
  return category === undefined ? { kind, of, label, span, steps } : { kind, of, label, category, span, steps }
}
