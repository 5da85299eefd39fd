import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { findPlace, findPlaces } from '../../sandbox/place.js'
import { newStage } from './stage.js'

test('links are followed and remembered, each by its own real path', async () => {
  const { folder, workspace } = await newStage()
  await symlink('workspace', join(folder, 'alias'))
  await mkdir(join(workspace, 'd'))
  await symlink('../alias/d', join(workspace, 'e'))
  assert.deepEqual(await findPlace(join(folder, 'alias', 'e')), {
    real: join(workspace, 'd'),
    kind: 'folder',
    links: [
      { path: join(folder, 'alias'), leadsTo: join(folder, 'workspace') },
      { path: join(workspace, 'e'), leadsTo: join(folder, 'alias', 'd') },
      { path: join(folder, 'alias'), leadsTo: join(folder, 'workspace') },
    ],
  })
})

const refused = (code: string, expected: RegExp) => (error: unknown) =>
  error instanceof ClawmeshError && error.code === code && expected.test(error.message) && error.hint !== ''

test('what does not exist is missing, and its real path is where it would be', async () => {
  const { workspace, target } = await newStage()
  await symlink(`${target}.new`, join(workspace, 'new'))
  const where = async (path: string) => {
    const { real, kind } = await findPlace(path)
    return [kind, real]
  }
  assert.deepEqual(await where(join(workspace, 'none')), ['missing', join(workspace, 'none')])
  assert.deepEqual(await where(join(workspace, 'x', 'y')), ['missing', join(workspace, 'x', 'y')])
  assert.deepEqual(await where(join(workspace, '..', 'z')), ['missing', join(workspace, '..', 'z')])
  assert.deepEqual(await where(join(target, 'below')), ['missing', join(target, 'below')])
  assert.deepEqual(await where(join(workspace, 'new')), ['missing', `${target}.new`])
  assert.deepEqual(await where(target), ['file', target])
})

test('a path that nothing could use is one clear error', async () => {
  const { workspace } = await newStage()
  await symlink('b', join(workspace, 'a'))
  await symlink('a', join(workspace, 'b'))
  await symlink('c', join(workspace, 'c'))
  for (const name of ['a', 'c'])
    await assert.rejects(findPlace(join(workspace, name)), refused('MESSAGE_INVALID', /circle/))
  await assert.rejects(findPlace(join(workspace, 'x'.repeat(256))), refused('MESSAGE_INVALID', /longer than a path/))
  await assert.rejects(findPlace(`/${'x/'.repeat(3000)}`), refused('MESSAGE_INVALID', /longer than a path/))
  await assert.rejects(findPlaces([join(workspace, 'a')]), refused('POLICY_INVALID', /circle/))
})

test('a link where actions may write is not followed to a grant', async () => {
  const { workspace, folder } = await newStage()
  await symlink(folder, join(workspace, 'data'))
  await symlink('workspace', join(folder, 'alias'))
  const path = join(workspace, 'data')
  await assert.rejects(findPlaces([path, workspace], [workspace]), refused('DENIED', /an action may have made/))
  const alias = join(folder, 'alias')
  await assert.rejects(findPlaces([path, alias], [alias]), refused('DENIED', /an action may have made/))
})

test('nothing is granted that leads into /proc, /dev or /sys', async () => {
  const { folder } = await newStage()
  for (const [name, leadsTo] of Object.entries({ p: '/proc', d: '/dev/shm', s: '/sys/kernel', e: '/proc/self/cwd' })) {
    await symlink(leadsTo, join(folder, name))
    assert.deepEqual(await findPlace(join(folder, name)), {
      real: leadsTo,
      kind: 'kernel',
      links: [{ path: join(folder, name), leadsTo }],
    })
    await assert.rejects(findPlaces([join(folder, name)]), refused('DENIED', /which leads to .*kernel’s/))
  }
  assert.equal((await findPlace('/proc/self/root/etc')).kind, 'kernel')
})
