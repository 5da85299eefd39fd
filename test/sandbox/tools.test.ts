import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadProfile } from '../../sandbox/preset.js'
import { runTool } from '../../sandbox/run.js'
import { calculate } from '../../sandbox/tools/actions/calculate.js'
import { parseCsvTable } from '../../sandbox/tools/actions/table.js'
import { actions } from '../../sandbox/tools/actions.js'
import { toolSpecs, tools } from '../../sandbox/tools/tools.js'
import { newStage } from './stage.js'

const profile = await loadProfile('read-only-research')

describe('tools on real files', { concurrency: 2 }, () => {
  const files: Record<string, string> = {
    'notes.txt': 'first line\nsecond  line\n\nfourth, with gold\n',
    'windows.txt': 'a\r\nb\r\n',
    'empty.txt': '',
    'costs.csv': 'item,price\n"pen, red",1.10\npaper,2.25\nfree,\n"big ""one""",-0.30\n',
    'costs.json': '[{"item":"a","price":0.1},{"item":"b","price":"0.2"},{"item":"c"}]',
    'july.csv': [
      'date,receipt,employee,category,amount,currency,note',
      '2026-07-14,R-1,Anna,food,42.50,EUR,"lunch, with a client"',
      '2026-02-30,R-2,Bo,food,1,EUR,',
      '2026-07-15,,Bo,food,1,EUR,',
      '2026-07-15,R-1,Bo,food,1,EUR,',
      '2026-07-15,R-3,Bo,food,0,EUR,',
      '2026-07-15,R-4,Bo,food,"1,5",EUR,',
      '2026-07-15,R-5,Bo,food,1,USD,',
      '2026-07-15,R-6,Bo,food,5000.01,EUR,',
      '2028-02-29,R-7,Bo,food,5000.00,EUR,',
      // the date comes first, whatever else is wrong
      ',R-7,Bo,food,x,USD,',
    ].join('\n'),
    'july.json': JSON.stringify([
      { date: '2026-07-14', receipt: 'R-1', amount: 0.1, currency: 'EUR' },
      { date: '2026-07-14', receipt: 'R-2', amount: '0.20', currency: 'EUR' },
      { date: '2026-07-14', receipt: 'R-3', amount: null, currency: 'EUR' },
      'no entry',
    ]),
    'july.txt': [
      'Dear all, these are my expenses: please pay them, 12.00 EUR',
      '2026-07-14 R-1042 Anna Meier: lunch with a client, at noon, 42.50 EUR',
      '  2026-07-14 R-1043 indented: is prose, 1.00 EUR',
      '2026-13-01 R-1044 Anna Meier: taxi, 10.00 EUR',
      '2026-07-15 Anna Meier: no receipt, 10.00 EUR',
      '2026-07-15 R-1042 Anna Meier: again, 10.00 EUR',
      '2026-07-15 R-1045 Anna Meier: no amount',
      '2026-07-15 R-1046 Anna Meier: dollars, 3.00 USD',
      '2026-07-16 was a quiet day',
    ].join('\n'),
  }
  const expected: [tool: string, args: Record<string, unknown>, facts: Record<string, unknown>][] = [
    ['count_lines', { path: 'notes.txt' }, { lines: 4 }],
    ['count_lines', { path: 'windows.txt' }, { lines: 2 }],
    ['count_lines', { path: 'empty.txt' }, { lines: 0 }],
    ['count_words', { path: 'notes.txt' }, { words: 7 }],
    ['first_lines', { path: 'notes.txt', count: 2 }, { lines: ['first line', 'second  line'] }],
    ['first_lines', { path: 'windows.txt', count: 9 }, { lines: ['a', 'b'] }],
    ['read_file', { path: 'windows.txt' }, { text: 'a\r\nb\r\n', truncated: false }],
    ['search_text', { path: 'notes.txt', text: 'line' }, { total: 2 }],
    [
      'search_text',
      { path: 'notes.txt', text: 'gold' },
      { matches: [{ line: 4, text: 'fourth, with gold' }], total: 1 },
    ],
    ['search_text', { path: 'notes.txt', text: '.*' }, { matches: [], total: 0 }],
    ['file_size', { path: 'windows.txt' }, { bytes: 6 }],
    ['sum_column', { path: 'costs.csv', column: 'price' }, { sum: '3.05', rows: 3, leftOut: 1 }],
    ['sum_column', { path: 'costs.json', column: 'Price' }, { sum: '0.3', rows: 2, leftOut: 1 }],
    ['calculate', { expression: '12 + 7 * 3' }, { value: '33', exact: true }],
    ['no_tool', {}, {}],
    [
      'list_files',
      { path: 'sub' },
      {
        entries: [
          { name: 'b', kind: 'folder' },
          { name: 'ü.txt', kind: 'file', bytes: 1 },
        ],
      },
    ],
    [
      'check_entries',
      { path: 'july.csv' },
      {
        entries: 10,
        valid: 2,
        totalCents: 504_250,
        faulty: [
          { line: 3, receipt: 'R-2', reason: 'date' },
          { line: 4, receipt: '', reason: 'receipt' },
          { line: 5, receipt: 'R-1', reason: 'duplicate' },
          { line: 6, receipt: 'R-3', reason: 'amount' },
          { line: 7, receipt: 'R-4', reason: 'amount' },
          { line: 8, receipt: 'R-5', reason: 'currency' },
          { line: 9, receipt: 'R-6', reason: 'limit' },
          { line: 11, receipt: 'R-7', reason: 'date' },
        ],
      },
    ],
    [
      'check_entries',
      { path: 'july.json' },
      {
        entries: 4,
        valid: 2,
        totalCents: 30,
        faulty: [
          { line: 3, receipt: 'R-3', reason: 'amount' },
          { line: 4, receipt: '', reason: 'date' },
        ],
      },
    ],
    [
      'check_entries',
      { path: 'july.txt' },
      {
        entries: 6,
        valid: 1,
        totalCents: 4250,
        faulty: [
          { line: 4, receipt: 'R-1044', reason: 'date' },
          { line: 5, receipt: '', reason: 'receipt' },
          { line: 6, receipt: 'R-1042', reason: 'duplicate' },
          { line: 7, receipt: 'R-1045', reason: 'amount' },
          { line: 8, receipt: 'R-1046', reason: 'currency' },
        ],
      },
    ],
  ]

  for (const [tool, args, facts] of expected)
    test(`${tool} ${JSON.stringify(args)}`, async () => {
      const { workspace } = await newStage()
      await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(workspace, name), text)))
      await mkdir(join(workspace, 'sub', 'b'), { recursive: true })
      await writeFile(join(workspace, 'sub', 'ü.txt'), 'x')
      const outcome = await runTool({ tool, args, workspace, profile })
      assert.ok(outcome.status === 'done', JSON.stringify(outcome))
      const { summary, ...rest } = outcome.result
      assert.ok(summary.length > 0)
      for (const [name, value] of Object.entries(facts)) assert.deepEqual(rest[name], value)
    })
})

test('arithmetic is exact, and says where it is not', () => {
  const cases: [string, string, boolean][] = [
    ['0.1 + 0.2', '0.3', true],
    ['1 / 3', '0.333333333333', false],
    ['2 / 3', '0.666666666667', false],
    ['-(2 + 3) * -4', '20', true],
    ['2 - 3 - 4', '-5', true],
    ['100 / 8 / 5', '2.5', true],
    ['- - 1', '1', true],
    ['99999999999999999999 * 99999999999999999999', '9999999999999999999800000000000000000001', true],
    ['0.5 - 0.5', '0', true],
    ['-1/3', '-0.333333333333', false],
    ['1/8', '0.125', true],
  ]
  for (const [expression, value, exact] of cases) {
    const { summary, ...rest } = calculate({ expression })
    assert.deepEqual(rest, { value, exact }, expression)
  }
  for (const wrong of [
    '',
    '1 +',
    '1 2',
    '(1',
    '1)',
    '1 ** 2',
    'process.exit()',
    '1e5',
    '.5',
    '1/0',
    `${'('.repeat(200)}1`,
  ])
    assert.throws(() => calculate({ expression: wrong }), wrong)
})

test('CSV fields may hold commas, quotes and line breaks, and rows know their lines', () => {
  const { columns, rows } = parseCsvTable('a,b\r\n"1\n2",x\r\n\r\n"say ""hi""",\r\nlast,', 'f.csv')
  assert.deepEqual(columns, ['a', 'b'])
  assert.deepEqual(
    rows.map(({ line, fields }) => [line, fields.a, fields.b]),
    [
      [2, '1\n2', 'x'],
      [5, 'say "hi"', ''],
      [6, 'last', ''],
    ],
  )
  assert.throws(() => parseCsvTable('a\n"open', 'f.csv'), /stray quote in line 2/)
})

test('the set is closed, and what a model is offered follows from it', () => {
  assert.deepEqual(Object.keys(tools), Object.keys(actions))
  for (const [name, tool] of Object.entries(tools)) assert.equal(tool.name, name)
  const spec = (name: string) => toolSpecs.find((each) => each.name === name)?.parameters
  assert.deepEqual(spec('first_lines'), {
    type: 'object',
    properties: {
      path: { type: 'string', maxLength: 4096, description: 'a file, as the person wrote it', 'x-copy': true },
      count: { type: 'integer', minimum: 1, maximum: 1000 },
    },
    required: ['path', 'count'],
    additionalProperties: false,
  })
  assert.deepEqual(spec('calculate'), {
    type: 'object',
    properties: { expression: { type: 'string', maxLength: 500, 'x-charset': '0-9 .+-*/()' } },
    required: ['expression'],
    additionalProperties: false,
  })
  assert.deepEqual(spec('list_files')?.required, undefined)
  assert.deepEqual(spec('no_tool')?.properties, {})
})
