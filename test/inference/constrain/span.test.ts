import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { spansOf } from '../../../inference/constrain/span.js'

/** Every piece that may be copied from a message. */
function pieces(message: string): string[] {
  const { bytes, starts, isEnd, lastEnd } = spansOf(message)
  const text = new TextDecoder('utf-8', { fatal: true })
  return starts.flatMap(({ at, end }) => {
    const ends = end === undefined ? range(at + 1, lastEnd).filter(isEnd) : [end]
    return ends.map((to) => text.decode(bytes.subarray(at, to)))
  })
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
}

const cases: { message: string; has: string[]; hasNot: string[] }[] = [
  { message: 'lines of notes.txt?', has: ['notes.txt'], hasNot: ['notes.txt?', 'notes', 'otes.txt', 'notes.tx'] },
  { message: 'show notes.txt.', has: ['notes.txt'], hasNot: ['notes.txt.'] },
  { message: 'show notes.txt, please', has: ['notes.txt', 'please'], hasNot: ['notes.txt,', 'notes.txt, '] },
  { message: 'read this: a/b-c_d.md!', has: ['a/b-c_d.md'], hasNot: ['b-c_d.md', 'this:'] },
  { message: 'count "my notes.txt", now', has: ['my notes.txt', 'now'], hasNot: ['"my notes.txt"', '"my', 'my'] },
  { message: 'write "Done." to log.txt', has: ['Done.', 'log.txt'], hasNot: ['Done', '"Done."'] },
  { message: "don't touch 'a b'", has: ["don't", 'a b'], hasNot: ['don', 't', "'a b'"] },
  { message: "what is notes.txt's size", has: ['notes.txt'], hasNot: ["notes.txt'"] },
  { message: 'open (notes.txt) first', has: ['notes.txt'], hasNot: ['(notes.txt)', 'notes.txt)'] },
  { message: 'open report(1).csv', has: ['report(1).csv'], hasNot: ['report'] },
  { message: 'open report(1)', has: ['report(1)'], hasNot: [] },
  { message: 'list .', has: ['.'], hasNot: [] },
  { message: 'zeig „große Liste.md“ bitte', has: ['große Liste.md', 'bitte'], hasNot: ['„große'] },
  { message: 'look at ~/Übung/übersicht.csv…', has: ['~/Übung/übersicht.csv'], hasNot: ['~/Übung/übersicht.csv…'] },
  { message: 'write buy milk and eggs to list.md', has: ['buy milk and eggs', 'list.md'], hasNot: ['uy milk'] },
]

describe('what may be copied from a message', () => {
  for (const { message, has, hasNot } of cases)
    it(message, () => {
      const found = pieces(message)
      for (const piece of has) assert.ok(found.includes(piece), `${piece} in ${found.join(' | ')}`)
      for (const piece of hasNot) assert.ok(!found.includes(piece), `${piece} not in ${found.join(' | ')}`)
    })

  it('is nothing in a message of white space', () => assert.deepEqual(pieces(' \n\t '), []))
})
