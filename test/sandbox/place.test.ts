import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { findPlace, realPathOf } from '../../sandbox/place.js'
import { newStage } from './stage.js'

test('links are followed and remembered, each by its own real path', async () => {
  const { folder, workspace } = await newStage()
  await symlink('workspace', join(folder, 'alias'))
  await mkdir(join(workspace, 'd'))
  await symlink('../alias/d', join(workspace, 'e'))
  assert.deepEqual(await findPlace(join(folder, 'alias', 'e')), {
    real: join(workspace, 'd'),
    folder: true,
    links: [
      { path: join(folder, 'alias'), leadsTo: join(folder, 'workspace') },
      { path: join(workspace, 'e'), leadsTo: join(folder, 'alias', 'd') },
      { path: join(folder, 'alias'), leadsTo: join(folder, 'workspace') },
    ],
  })
})

test('what does not exist, and what leads in a circle, has no place', async () => {
  const { workspace, target } = await newStage()
  await symlink('b', join(workspace, 'a'))
  await symlink('a', join(workspace, 'b'))
  assert.equal(await findPlace(join(workspace, 'none')), undefined)
  assert.equal(await findPlace(join(target, 'below')), undefined)
  assert.equal(await findPlace(join(workspace, 'a')), undefined)
})

test('a link where actions may write is not followed to a grant', async () => {
  const { workspace, folder } = await newStage()
  await symlink(folder, join(workspace, 'data'))
  await assert.rejects(
    findPlace(join(workspace, 'data'), [workspace]),
    (error) => error instanceof ClawmeshError && error.code === 'DENIED',
  )
})

test('the real path of what is not there yet', async () => {
  const { workspace, target } = await newStage()
  await symlink(target, join(workspace, 'out'))
  await symlink(`${target}.new`, join(workspace, 'new'))
  await symlink('c', join(workspace, 'c'))
  await writeFile(join(workspace, 'f'), '')
  assert.equal(await realPathOf(join(workspace, 'out')), target)
  assert.equal(await realPathOf(join(workspace, 'new')), `${target}.new`)
  assert.equal(await realPathOf(join(workspace, 'x', 'y')), join(workspace, 'x', 'y'))
  assert.equal(await realPathOf(join(workspace, '..', 'z')), join(workspace, '..', 'z'))
})
