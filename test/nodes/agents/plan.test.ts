import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../../mesh/installation.js'
import { planRequest } from '../../../nodes/agents/job/plan.js'
import { checkSum } from '../../../nodes/agents/job/sum.js'
import { majority } from '../../../nodes/agents/job/vote.js'
import { worded } from '../../../nodes/agents/job/wording.js'
import { ClawmeshError } from '../../../policies/errors.js'

const files = () => ['a.csv', 'q3/b.json']
const none = (): string[] => {
  throw new Error('nobody asked for the files')
}

describe('a plan', () => {
  it('takes a sentence that names its file as it stands, even where the workspace cannot be listed', () => {
    assert.deepEqual(planRequest('how many lines has notes.txt', none), {
      collective: [],
      single: [{ words: 'how many lines has notes.txt' }],
    })
  })

  it('puts names that do not read as one word in quotation marks', () => {
    const odd = () => ['report.txt', 'my report.txt', 'my report (final).txt', 'say "so".txt']
    const wordsOf = (request: string) => {
      const { collective, single } = planRequest(request, odd)
      return [...collective, ...single].map(({ words }) => words)
    }
    assert.deepEqual(wordsOf('how many lines has my report.txt'), ['how many lines has "my report.txt"'])
    assert.deepEqual(wordsOf('how many lines has "my report.txt"'), ['how many lines has "my report.txt"'])
    assert.deepEqual(wordsOf('how many lines has report.txt'), ['how many lines has report.txt'])
    assert.deepEqual(wordsOf('count the lines in all files'), [
      'count the lines in report.txt',
      'count the lines in "my report.txt"',
      'count the lines in "my report (final).txt"',
      'count the lines in `say "so".txt`',
    ])
  })

  it('puts a sentence about all files to each of them', () => {
    for (const [all, one] of [
      ['Check the entries of this quarter: name the faulty ones.', 'Check the entries in a.csv: name the faulty ones.'],
      ['Count the lines in all files', 'Count the lines in a.csv'],
      ['Count the words of each of the files', 'Count the words in a.csv'],
      ['Look for a date in the whole folder', 'Look for a date in a.csv'],
    ] as const) {
      const { collective } = planRequest(all, files)
      assert.deepEqual(
        collective.map(({ file }) => file),
        files(),
      )
      assert.equal(collective[0]?.words, one)
    }
  })

  it('takes each question of a sentence as one, about the file that the one before named if it names none', () => {
    for (const [request, ...parts] of [
      ['how many lines has a.txt and what is 12 + 30', 'how many lines has a.txt', 'what is 12 + 30'],
      ['What is 2 + 3, and then what’s 4 * 5?', 'What is 2 + 3', 'what’s 4 * 5?'],
      ['how many lines has a.txt, how many words?', 'how many lines has a.txt', 'how many words in a.txt'],
      ['how many lines has a.txt and how big is b.txt', 'how many lines has a.txt', 'how big is b.txt'],
      ['List the files and count the lines of a.txt', 'List the files', 'count the lines of a.txt'],
      ['how many lines has a.txt, which files are there', 'how many lines has a.txt', 'which files are there'],
      ['List the files, then sum the amount in a.csv', 'List the files', 'sum the amount in a.csv'],
      ['Read a.txt and then search for salt in b.txt', 'Read a.txt', 'search for salt in b.txt'],
      ['write "a" to s1.txt, and write "b" to s1.txt', 'write "a" to s1.txt', 'write "b" to s1.txt'],
      ['how many lines has a.txt, and read b.md', 'how many lines has a.txt', 'read b.md'],
      ['What is 2 + 3 and then what is that times 4', 'What is 2 + 3 and then what is that times 4'],
      ['of a.csv, what is the sum of price', 'of a.csv, what is the sum of price'],
      ['search for "salt and what is it" in a.txt', 'search for "salt and what is it" in a.txt'],
      ['search for search and list in a.txt', 'search for search and list in a.txt'],
    ] as const) {
      assert.deepEqual(
        planRequest(request, none).single.map(({ words }) => words),
        parts,
      )
    }
  })

  it('takes names that do not read as one word for names in a list too', () => {
    const files = () => ['übung.txt', 'notes.txt', 'a (b).txt']
    const { collective, single } = planRequest('how many lines have übung.txt, notes.txt and a (b).txt', files)
    assert.deepEqual(
      collective.map(({ file }) => file),
      ['übung.txt', 'notes.txt', 'a (b).txt'],
    )
    assert.equal(collective[0]?.words, 'how many lines have "übung.txt"')
    assert.deepEqual(single, [])
    assert.equal(
      planRequest('find "notes.txt" in a.txt', files).single.length,
      1,
      'what is quoted without need is text',
    )
  })

  it('asks for lines and for words where a sentence asks for both', () => {
    const parts = (request: string) => planRequest(request, () => []).single.map(({ words }) => words)
    assert.deepEqual(parts('how many lines and words has a.txt?'), [
      'how many lines has a.txt?',
      'how many words has a.txt?',
    ])
    assert.deepEqual(parts('Please count the words & the lines of a.txt.'), [
      'Please count the words of a.txt.',
      'Please count the lines of a.txt.',
    ])
    for (const one of ['find lines and words in a.txt', 'how many lines of a.txt hold "lines and words"'])
      assert.deepEqual(parts(one), [one])
  })

  it('is made, or refused, in no time, however a request of the gateway’s length is written', () => {
    const names = Array.from({ length: 3000 }, (_, index) => `${index}.b`).join(', ')
    const hostile = [names, `${names.slice(0, 1900)}. `.repeat(10), ' and'.repeat(4990), 'a. '.repeat(6667)]
    for (const request of [
      ...hostile,
      'what is, '.repeat(2200),
      '1 + '.repeat(5000),
      `how many${' '.repeat(19_000)}x`,
    ]) {
      const began = process.cpuUsage()
      assert.throws(() => planRequest(request.slice(0, 20_000), () => []), { code: 'USAGE' })
      assert.ok(process.cpuUsage(began).user < 5e6, request.slice(0, 30))
    }
  })

  it('splits sentences and not file names', () => {
    const { collective, single } = planRequest(
      'Check the entries of this month. Then read ../x.y/z.csv. Is it 3.5 kB?',
      files,
    )
    assert.equal(collective.length, 2)
    assert.deepEqual(
      single.map(({ words }) => words),
      ['Then read ../x.y/z.csv.', 'Is it 3.5 kB?'],
    )
  })
})

describe('a sentence with several names', () => {
  const wordsOf = (request: string) => planRequest(request, none).collective.map(({ words }) => words)

  it('is put to each file of a list', () => {
    for (const list of ['a.txt and q3/b.csv', 'both a.txt and q3/b.csv', 'a.txt, q3/b.csv', 'a.txt and in q3/b.csv'])
      assert.deepEqual(wordsOf(`Count the lines in ${list}, please.`), [
        'Count the lines in a.txt, please.',
        'Count the lines in q3/b.csv, please.',
      ])
    assert.equal(wordsOf('how many words have a.txt, b.txt, and c-1.md').length, 3)
  })

  it('is refused where it relates them to one another, and so is one that adds a name to all files', () => {
    for (const request of [
      'Compare a.txt with b.txt',
      'Copy ./a.txt to b.txt.',
      'Compare the lines in all files with a.txt',
    ])
      assert.throws(
        () => planRequest(request, files),
        (error) => error instanceof ClawmeshError && error.code === 'USAGE' && /a\.txt/.test(error.message),
      )
  })

  it('has one name only where the other words are numbers, abbreviations, quotations or the same name', () => {
    for (const request of [
      'is 3.5 in a.txt',
      'count something in a.txt, e.g. its lines',
      'search for "b.txt" in a.txt',
      "search for 'see b.txt, too' in a.txt",
      'is a.txt longer than a.txt',
      'read ../x.y/z.csv.',
    ])
      assert.deepEqual(
        planRequest(request, none)
          .single.map(({ words }) => words)
          .join(' '),
        request,
      )
  })
})

describe('a majority', () => {
  const ballots = (...choices: (number | undefined)[]) =>
    choices.map((choice, index) => ({ voter: `v${index}`, choice }))

  it('is more than half of all who were asked, silent ones included', () => {
    assert.deepEqual(majority(ballots(1, 1, 2)), { winner: 1, votes: 2, voters: 3 })
    assert.equal(majority(ballots(1, undefined, undefined)).winner, undefined)
    assert.equal(majority(ballots(1, 1, 2, 2)).winner, undefined)
    assert.equal(majority(ballots(1, 2, 3)).winner, undefined)
  })

  it('compares what was found, not which object says it', () => {
    const fault = () => [{ file: 'a.csv', line: 3 }]
    assert.deepEqual(
      majority([
        { voter: 'a', choice: fault() },
        { voter: 'b', choice: fault() },
      ]).winner,
      fault(),
    )
  })
})

describe('a sum that a model made of a request', () => {
  const call = (expression: string) => ({ name: 'calculate', arguments: { expression } })

  it('has each number and each sign that was written', () => {
    for (const [request, expression] of [
      ['what is 12 + 30', '12 + 30'],
      ['15% of 80', '80 * 15 / 100'],
      ['1,250 times 3', '1250 * 3'],
      ['half of (3 + 4) × 2', '(3 + 4) * 2 / 2'],
      ['three and 18/12', '3 + 18 / 12'],
      ['what is 7 - -2', '7 - -2'],
      ['what is (2+3) × 4?', '(2 + 3) * 4'],
      ['add 10 to 2 * 3', '10 + 2 * 3'],
      ['12% of 50', '12 * 50 / 100'],
      ['how much are twelve and 30.50', '12 + 30.5'],
    ] as const)
      checkSum(request, call(expression))
  })

  it('is no answer where it lacks one', () => {
    for (const [request, expression] of [
      ['what is 2^10', '2 / 10'],
      ['what is 2+3, 4*5 and 6-1', '4 + 3'],
      ['what is 10/4', '10 * 4'],
      ['what is 5 + 5', '5'],
      ['What is 7 - -3.', '7 - 3'],
      ['what is 10 - 3', '3 - 10'],
      ['what is (2+3)*4', '2 + 3 * 4'],
      ['what is 2 + 3', '2 + 3 + 100'],
      ['what is 3 + 4 * 2', '3 * 4 + 2'],
      ['-5 + 3', '5 + 3'],
      ['what is 120 + 7', '12 + 7'],
    ] as const)
      assert.throws(() => checkSum(request, call(expression)), { code: 'MODEL_FAILED' }, request)
  })

  it('is never missed in the held-out requests of the shipped model', () => {
    const lines = readFileSync(join(installation, 'inference', 'shipped', 'heldout.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const sums = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'arithmetic-call')
    assert.ok(sums.length >= 200)
    for (const { request, call: asked } of sums) checkSum(request, asked)
  })
})

describe('the wording of a part', () => {
  it('tells a model of English letters a file by another name, and takes its call back to what was meant', () => {
    for (const said of ['how many lines has übung.txt', 'how many lines has "übung.txt"']) {
      const { words, meant } = worded(said)
      assert.equal(words, 'how many lines has file1.txt')
      const call = { name: 'count_lines', arguments: { path: 'file1.txt', count: 3 } }
      assert.deepEqual(meant(call), { name: 'count_lines', arguments: { path: 'übung.txt', count: 3 } })
    }
    const two = worded('copy "Ärger im Büro.csv" of file1.txt, öl/größe.CSV and "Ärger im Büro.csv"')
    assert.equal(two.words, 'copy file11.csv of file1.txt, file2.CSV and file11.csv')
    assert.deepEqual(two.meant({ name: 'x', arguments: { a: 'file2.CSV', b: 'file11.csv' } }).arguments, {
      a: 'öl/größe.CSV',
      b: 'Ärger im Büro.csv',
    })
    for (const plain of ['read notes.txt', 'find "größe" in a.txt', 'what is 3.5 times 2'])
      assert.equal(worded(plain).words, plain)
  })

  it('does not have the model search for "for"', () => {
    assert.equal(worded('search for foo in a.txt').words, 'look for foo in a.txt')
  })
})
