/** policies/people.cedar against its truth table, and what policies of a mesh's own can and cannot do. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import {
  mesh,
  openCedar,
  type PeopleAction,
  peopleActions,
  peopleRoles,
  readPeople,
  someone,
} from '../../policies/people.js'

const read = (name: string) => readFileSync(join(installation, 'policies', name), 'utf8')
const cedar = await openCedar()
const given = { schema: read('people.cedarschema'), shipped: { text: read('people.cedar'), source: 'people.cedar' } }
const withOwn = (text: string) => readPeople(cedar, given, { text, source: 'own.cedar' })
const laptop = { name: 'laptop', role: 'developer' } as const
const on = (action: PeopleAction) => (action === 'useTool' ? ({ type: 'Tool', id: 'read_file' } as const) : mesh)
const invalid = (what: RegExp) => (error: unknown) =>
  error instanceof ClawmeshError && error.code === 'POLICY_INVALID' && what.test(error.message)

describe('the policies of people', () => {
  const people = readPeople(cedar, given)
  const table = z.record(z.enum(peopleActions), z.array(z.enum(peopleRoles))).parse(parse(read('people.test.yaml')))

  for (const action of peopleActions)
    it(`let ${table[action].join(', ')} ${action}, and nobody else`, () => {
      const allowed = peopleRoles.filter((role) => people.decide(someone(role), action, on(action)).allowed)
      assert.deepEqual([...allowed].sort(), [...table[action]].sort())
    })

  it('say by which policy, and that none permits what is denied', () => {
    assert.deepEqual(people.decide(laptop, 'askModel', mesh), { allowed: true, by: ['developer'] })
    assert.deepEqual(people.decide(laptop, 'readAudit', mesh), { allowed: false, by: [] })
  })

  it("of a mesh's own widen and narrow, and a forbid wins over every permit", () => {
    const own = withOwn(`
      @id("costs") permit (principal == User::"laptop", action == Action::"readCosts", resource);
      @id("no cloud") forbid (principal in Role::"developer", action == Action::"askModel", resource is Model)
        unless { resource == Model::"tiny" };
      @id("again") permit (principal, action, resource == Model::"cloud");`)
    assert.notEqual(own.version, people.version)
    const model = (id: string) => own.decide(laptop, 'askModel', { type: 'Model', id })
    assert.deepEqual(own.decide(laptop, 'readCosts', mesh), { allowed: true, by: ['own:costs'] })
    assert.equal(own.decide({ ...laptop, name: 'other' }, 'readCosts', mesh).allowed, false)
    assert.deepEqual([model('tiny').allowed, model('cloud')], [true, { allowed: false, by: ['own:no cloud'] }])
    // The same name under another role is somebody else, also where it was asked for before.
    assert.equal(own.decide({ name: 'laptop', role: 'viewer' }, 'askModel', mesh).allowed, false)
  })

  it("of a mesh's own are refused whole where one word of them means nothing", () => {
    const all = 'principal, action == Action::"readCosts", resource'
    for (const [text, what] of [
      ['permit (principal action, resource);', /own\.cedar:1: unexpected token/],
      [`forbid (${all});\npermit (principal in Role::"develper", action, resource);`, /own\.cedar: .*develper/],
      ['forbid (principal, action == Action::"askModl", resource);', /did you mean `Action::"askModel"/],
      ['forbid (principal, action == Action::"useTool", resource == Mesh::"this");', /own\.cedar/],
      ['forbid (principal, action, resource) when { principal.team == "red" };', /team/],
      ['permit (principal == ?principal, action, resource);', /template/],
      [`@id("a") permit (${all}); @id("a") forbid (${all});`, /two policies with the id "own:a"/],
      [' '.repeat(300_000), /longer than/],
    ] as const)
      assert.throws(() => withOwn(text), invalid(what), text.slice(0, 80))
  })
})
