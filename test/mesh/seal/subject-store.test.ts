/** The authority's keys of persons: one for each name, gone when it is erased, and never gone by accident. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { folderShelf, memoryShelf, type Shelf } from '../../../mesh/seal/shelf.js'
import { SubjectStore } from '../../../mesh/seal/subject-store.js'
import { temporaryFolder } from '../../kit/mesh.js'

const folder = temporaryFolder()
after(() => rmSync(folder, { recursive: true, force: true }))
const authority = openAuthority(folder, Date.now())
const files = join(folder, 'subjects')

it('a name keeps its key over restarts, until it is erased; then it has a new one', () => {
  const first = authority.subjects.keyOf('ada')
  const again = openAuthority(folder, Date.now()).subjects
  assert.equal(again.keyOf('ada').id, first.id)
  assert.notEqual(again.keyOf('bob').id, first.id)
  again.erase('ada', Date.now())
  // The store that had it at hand does not go on with it.
  const second = authority.subjects.keyOf('ada')
  assert.notEqual(second.id, first.id)
  assert.equal(again.secretOf(first.id), 'erased')
  assert.deepEqual(authority.subjects.names(), ['ada', 'bob'])
})

it('its files name nobody, can be read by their owner alone, and hold nothing of a key that was erased', () => {
  const { id } = authority.subjects.keyOf('carla')
  const secret = authority.subjects.secretOf(id)
  assert.ok(secret && secret !== 'erased')
  authority.subjects.erase('carla', Date.now())
  for (const file of readdirSync(files)) {
    const bytes = readFileSync(join(files, file))
    assert.ok(!file.includes('carla') && !bytes.includes('carla') && !bytes.includes('bob'), file)
    assert.ok(!bytes.includes(Buffer.from(secret.secretKey)), file)
    if (file.includes(id)) assert.match(file, /\.erased$/)
  }
})

it('what cannot be read is an error, and no new key is made beside it', () => {
  const { id } = authority.subjects.keyOf('dan')
  const file = readdirSync(files).find((name) => name.includes(id)) ?? assert.fail('it has no file')
  writeFileSync(join(files, file), 'damaged')
  const fresh = openAuthority(folder, Date.now()).subjects
  // Also by the store that had the key at hand.
  for (const store of [fresh, authority.subjects])
    assert.throws(() => store.keyOf('dan'), { code: 'AUDIT_UNAVAILABLE' })
  // What is about others is read on.
  assert.equal(fresh.secretOf(id), undefined)
  assert.deepEqual(fresh.names(), ['ada', 'bob'])
  assert.equal(readdirSync(files).filter((name) => name.startsWith(file.slice(0, 32))).length, 1)
  // It can be erased all the same.
  fresh.erase('dan', Date.now())
  assert.equal(fresh.secretOf(id), 'erased')
})

for (const name of ['', ' ada', 'a\nb', 'x'.repeat(201)])
  it(`${JSON.stringify(name.slice(0, 8))} is no name`, () => {
    assert.throws(() => authority.subjects.keyOf(name), { code: 'USAGE' })
  })

it('an erasure that ends at any step is none, or is done by doing it again; nobody else loses a key', () => {
  for (let steps = 0; ; steps += 1) {
    const shelf = memoryShelf()
    const before = new SubjectStore(shelf, authority)
    const { id } = before.keyOf('ada')
    const other = before.keyOf('bob')
    const dies = dyingShelf(shelf, steps)
    let isDone = true
    try {
      new SubjectStore(dies, authority).erase('ada', 1)
    } catch {
      isDone = false
    }
    const after = new SubjectStore(shelf, authority)
    const left = after.secretOf(id)
    if (left !== 'erased')
      assert.ok(left && after.keyOf('ada').id === id, `step ${steps}: a key is lost and not erased`)
    else assert.notEqual(after.keyOf('ada').id, id)
    assert.ok(after.idsOf('ada').length > 0, `step ${steps}: the name no longer finds what is left`)
    after.erase('ada', 2)
    assert.equal(new SubjectStore(shelf, authority).secretOf(id), 'erased')
    assert.ok(!shelf.names().some((name) => name.includes(id) && name.endsWith('.key')))
    assert.equal(new SubjectStore(shelf, authority).keyOf('bob').id, other.id)
    if (isDone) return assert.ok(steps >= 3, 'it never died')
  }
})

/** Does so many changes, and no more; the last of them may be cut in half. */
function dyingShelf(shelf: Shelf, steps: number): Shelf {
  let left = steps
  const step = (change: () => void) => {
    if (left-- <= 0) throw new Error('killed')
    change()
  }
  return {
    ...shelf,
    write: (name, bytes) => step(() => shelf.write(name, bytes)),
    destroy: (name) => {
      step(() => shelf.write(name, new Uint8Array(shelf.read(name).length)))
      step(() => shelf.destroy(name))
    },
  }
}

it('a folder that cannot be listed stops what would be recorded', () => {
  writeFileSync(join(folder, 'no-folder'), '')
  const store = new SubjectStore(folderShelf(join(folder, 'no-folder')), authority)
  assert.throws(() => store.keyOf('ada'), { code: 'AUDIT_UNAVAILABLE' })
})
