/** What is found in a request, text by text and in all of it together. */
import type { Sensitivity } from '../policies/router-label.js'
import { type ClassifySettings, classify, type Finding } from './classify.js'
import { joinSensitivity } from './label.js'
import { lay, type ModelRequest, textsOf, turnsOf } from './request.js'
import { lastAtMost } from './view/view.js'

export interface Reading {
  readonly sensitivity: Sensitivity
  readonly texts: readonly (readonly Finding[])[]
  readonly split: readonly Finding[]
  readonly images: boolean
}

/** Everything in the request at once: what is split between messages, names and values is found as well. */
export function readRequest(request: ModelRequest, settings: ClassifySettings): Reading {
  const contents = textsOf(request)
  const { text, starts } = lay(contents)
  const whole = classify(text, settings)
  const said = turnsOf(request)
  const turns = said.map((turn) => classify(turn, settings))
  const texts: Finding[][] = contents.map(() => [])
  const split: Finding[] = []
  for (const finding of whole.findings) {
    const index = lastAtMost(starts, finding.span.start)
    const start = starts[index] ?? 0
    const isWithin = finding.span.end - start <= (contents[index]?.length ?? 0)
    // The request's own findings stay exact; those that reach over several texts belong to none.
    if (isWithin)
      texts[index]?.push({ ...finding, span: { start: finding.span.start - start, end: finding.span.end - start } })
    else split.push(finding)
  }
  for (const [index, { findings }] of turns.entries()) split.push(...splitIn(findings, said[index] ?? ''))
  const images = request.messages.some((message) => (message.images?.length ?? 0) > 0)
  return { sensitivity: joinSensitivity([whole, ...turns, ...(images ? [unseen] : [])]), texts, split, images }
}

/** What an image shows may be anything. */
const unseen: Sensitivity = { label: 'RESTRICTED', categories: [] }

/** Findings that reach over a break between messages, in what one speaker said. */
const splitIn = (findings: readonly Finding[], said: string): Finding[] =>
  findings.filter(({ span, steps }) => steps.includes('lines') && said.slice(span.start, span.end).includes('\n'))
