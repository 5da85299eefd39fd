/** What an answer is held to: each word of JSON Schema that is taken is checked, and no schema makes checking cost more than is allowed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { misfitOf } from '../../../../nodes/gateway/openai/json-check.js'
import { parseJsonSchema } from '../../../../nodes/gateway/openai/json-schema.js'

const fits = (schema: object, value: unknown) => misfitOf(parseJsonSchema(schema), value) === undefined
const tree = {
  $ref: '#/$defs/node',
  $defs: { node: { type: 'object', required: ['kids'], properties: { kids: { items: { $ref: '#/$defs/node' } } } } },
}
const levels = (count: number, of: (next: string) => object, last: object) => ({
  $ref: '#/$defs/a0',
  $defs: Object.fromEntries(
    Array.from({ length: count + 1 }, (_, at) => [`a${at}`, at === count ? last : of(`#/$defs/a${at + 1}`)]),
  ),
})
const twice = ($ref: string) => ({ anyOf: [{ $ref }, { $ref }] })

describe('the JSON Schema of an answer', () => {
  const table: [schema: object, good: unknown[], bad: unknown[]][] = [
    [{ type: 'object', required: ['z'] }, [{ z: null }], [{}, { zz: 1 }, []]],
    [{ required: ['z'] }, [{ z: 1 }, 'text'], [{}]],
    [{ required: ['toString'] }, [{ toString: 1 }], [{}]],
    [{ type: ['object', 'null'], required: ['z'] }, [null, { z: 1 }], [{}, 1]],
    [{ $ref: '#/$defs/a', required: ['z'], $defs: { a: { type: 'object' } } }, [{ z: 1 }], [{}, 1]],
    [{ $ref: '#/properties/a~1b', properties: { 'a/b': { minProperties: 1 } } }, [{ x: 1 }], [{}]],
    [{ enum: [{}, { a: [1], b: 2 }] }, [{}, { b: 2, a: [1] }], [{ a: 1 }, '{}']],
    [{ const: null }, [null], [0, '', false]],
    [{ anyOf: [{ type: 'string' }, { minimum: 3 }], maximum: 5 }, ['a', 4], [2, 6]],
    [{ oneOf: [{ type: 'number' }, { type: 'integer' }] }, [1.5], [1, 'a']],
    [{ allOf: [{ minimum: 1 }, { exclusiveMaximum: 3 }] }, [1, 'a'], [0, 3]],
    [{ exclusiveMinimum: 1, multipleOf: 0.1 }, [1.3], [1, 1.25]],
    [{ type: 'integer' }, [1, 1.0], [1.5, '1', true]],
    [{ minLength: 2, maxLength: 2 }, ['🙂🙂', 2], ['🙂', 'abc']],
    [{ properties: { a: false }, additionalProperties: { type: 'null' } }, [{}, { b: null }], [{ a: 1 }, { b: 1 }]],
    [{ propertyNames: { maxLength: 1 }, maxProperties: 2 }, [{ a: 1 }], [{ ab: 1 }, { a: 1, b: 2, c: 3 }]],
    [{ prefixItems: [{ const: 1 }], items: { const: 2 }, minItems: 1 }, [[1], [1, 2]], [[], [2], [1, 1]]],
    [
      { uniqueItems: true, maxItems: 2 },
      [[1, '1']],
      [
        [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
        [1, 2, 3],
      ],
    ],
    [{ contains: { type: 'null' }, maxContains: 1 }, [[null, 1]], [[], [null, null]]],
    [{ contains: true, minContains: 0 }, [[], [1]], []],
    [tree, [{ kids: [{ kids: [] }] }], [{ kids: [{}] }]],
  ]
  for (const [schema, good, bad] of table)
    it(`is kept: ${JSON.stringify(schema)}`, () => {
      for (const value of good) assert.ok(fits(schema, value), `refused: ${JSON.stringify(value)}`)
      for (const value of bad) assert.ok(!fits(schema, value), `taken: ${JSON.stringify(value)}`)
    })

  const nested = (deep: number): object => (deep === 0 ? {} : { items: nested(deep - 1) })
  for (const [what, schema, why] of [
    ['that is twice as wide at each level', levels(21, twice, { type: 'string' }), /more than 500/],
    ['that leads back to itself', { $ref: '#' }, /more than 500/],
    ['that is nested 5,000 deep', nested(5000), /nested deeper/],
    ['that is long', { enum: ['x'.repeat(200_000)] }, /longer than/],
    ['of too many schemas', { prefixItems: Array(3000).fill({}) }, /more than 2000/],
    ['that leads nowhere', { $ref: '#/$defs/none' }, /leads to no schema/],
    ['that leads to what is data', { $ref: '#/enum/0', enum: [{ pattern: 'x' }] }, /leads to no schema/],
    ['of an older form', { items: [{}] }, /items/],
  ] as const)
    it(`is refused where it is one ${what}`, () => {
      assert.throws(() => parseJsonSchema(schema), { message: why })
    })

  it('is not checked for longer than is allowed, and an answer that would need that does not fit', () => {
    // 2^6 schemas for each place of a tree, and a text that each of them would read.
    const wide = levels(6, twice, { items: { $ref: '#/$defs/a0' }, minLength: 1e6 })
    const value = Array.from({ length: 1000 }, (_, at) => [at, 'x'.repeat(1000)])
    const began = process.cpuUsage()
    assert.match(misfitOf(parseJsonSchema(wide), value) ?? '', /too long to check/)
    assert.match(misfitOf(parseJsonSchema({}), JSON.parse('['.repeat(100) + ']'.repeat(100))) ?? '', /nested deeper/)
    const many = { allOf: Array(490).fill({ uniqueItems: true }) }
    assert.match(misfitOf(parseJsonSchema(many), value) ?? '', /too long to check/)
    assert.ok(process.cpuUsage(began).user < 5e6)
  })
})
