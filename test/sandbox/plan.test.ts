import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'
import type { Place } from '../../sandbox/place.js'
import { type Action, grantedPaths, type Mount, planLaunch } from '../../sandbox/plan.js'
import { encodeSpec } from '../../sandbox/spec.js'

const workspace = '/home/anna/my work'
const action: Action = { program: '/usr/bin/tool', args: ['a'] }

/** A machine where everything exists; folders have no dot in their names. */
function planned(yaml: string, given: Partial<Action> = {}, places: Record<string, Place> = {}) {
  const profile = parseProfile(yaml)
  const whole = { ...action, ...given }
  const found = grantedPaths(profile, workspace, whole).flatMap((path) => {
    const place =
      path in places
        ? places[path]
        : { real: path, kind: path.includes('.') ? ('file' as const) : ('folder' as const), links: [] }
    return place ? [[path, place] as const] : []
  })
  return planLaunch(profile, workspace, whole, new Map(found))
}

const missing = (real: string): Place => ({ real, kind: 'missing', links: [] })

const granted = ({ mounts }: { mounts: readonly Mount[] }) => mounts.map(({ access, target }) => `${access} ${target}`)

test('an empty profile mounts the program alone', () => {
  const plan = planned('')
  assert.deepEqual(granted(plan), ['rx /usr/bin/tool'])
  assert.equal(plan.folder, '/')
})

test('system folders may be executed, the workspace and what is writable never', () => {
  const plan = planned('filesystem_policy: { read_only: [., /usr], read_write: [/data] }')
  assert.deepEqual(granted(plan), ['rw /data', `r ${workspace}`, 'rx /usr'])
  assert.equal(plan.folder, workspace)
})

test('a workspace that lies in what may be executed is not executed, though the policy does not name it', () => {
  const plan = planned('filesystem_policy: { read_only: [/home/anna, /usr] }')
  assert.deepEqual(granted(plan), ['rx /home/anna', `r ${workspace}`, 'rx /usr'])
})

test('parents come before what lies below them, and what adds nothing is left out', () => {
  const plan = planned(
    'filesystem_policy: { include_workdir: true, read_only: [./kept, /usr, /usr/share], read_write: [./kept/free] }',
  )
  assert.deepEqual(granted(plan), [`rw ${workspace}`, `r ${workspace}/kept`, `rw ${workspace}/kept/free`, 'rx /usr'])
})

test('every folder between a writable place and what is read-only in it is held where it is', () => {
  const plan = planned(
    'filesystem_policy: { include_workdir: true, read_only: [./a/b/kept, ./a/c/kept], read_write: [./a/b/kept/x/y] }',
  )
  assert.deepEqual(granted(plan), [
    `rw ${workspace}`,
    `pin ${workspace}/a`,
    `pin ${workspace}/a/b`,
    `r ${workspace}/a/b/kept`,
    `rw ${workspace}/a/b/kept/x/y`,
    `pin ${workspace}/a/c`,
    `r ${workspace}/a/c/kept`,
    'rx /usr/bin/tool',
  ])
})

test('what is to stay read-only in a writable place has to exist', () => {
  const yaml = 'filesystem_policy: { include_workdir: true, read_only: [./kept/f] }'
  const places = { [`${workspace}/kept/f`]: missing(`${workspace}/kept/f`) }
  assert.throws(
    () => planned(yaml, {}, places),
    (error) =>
      error instanceof ClawmeshError &&
      error.code === 'DENIED' &&
      /kept\/f read-only inside .*my work/.test(error.message),
  )
  const readOnly = 'filesystem_policy: { read_only: [., ./kept/f] }'
  assert.deepEqual(granted(planned(readOnly, {}, places)), [`r ${workspace}`, 'rx /usr/bin/tool'])
})

test('what a link makes writable counts where it really is', () => {
  const yaml = 'filesystem_policy: { read_only: [/mnt/data/kept], read_write: [/data] }'
  const places = {
    '/data': { real: '/mnt/data', kind: 'folder' as const, links: [{ path: '/data', leadsTo: '/mnt/data' }] },
    '/mnt/data/kept': missing('/mnt/data/kept'),
  }
  assert.throws(() => planned(yaml, {}, places), /read-only inside \/mnt\/data/)
})

test('a file that a person allowed to be made is the one thing that need not exist', () => {
  const file = `${workspace}/new.txt`
  const plan = planned(
    'filesystem_policy: { read_only: [.], read_write: [./new.txt] }',
    {},
    {
      [file]: { real: file, kind: 'new', links: [] },
    },
  )
  assert.deepEqual(
    plan.mounts.find(({ target }) => target === file),
    { access: 'rw', kind: 'new', source: file, target: file },
  )
})

test('the program and its parts stay as they are even inside a writable folder', () => {
  const plan = planned('filesystem_policy: { include_workdir: true }', {
    program: `${workspace}/node`,
    read: [`${workspace}/code`],
  })
  assert.deepEqual(granted(plan), [`rw ${workspace}`, `r ${workspace}/code`, `rx ${workspace}/node`])
})

test('what does not exist is not mounted', () => {
  assert.deepEqual(
    granted(planned('filesystem_policy: { read_only: [/usr, /lib64] }', {}, { '/lib64': missing('/lib64') })),
    ['rx /usr'],
  )
})

test('links on the way to a grant are made again, unless they lie in something mounted', () => {
  const places = {
    '/lib': { real: '/usr/lib', kind: 'folder' as const, links: [{ path: '/lib', leadsTo: '/usr/lib' }] },
    '/opt/x': { real: '/usr/y', kind: 'folder' as const, links: [{ path: '/usr/x', leadsTo: '/usr/y' }] },
  }
  const plan = planned('filesystem_policy: { read_only: [/usr, /lib, /opt/x] }', {}, places)
  assert.deepEqual(
    plan.links.filter(({ path }) => !path.startsWith('/dev')),
    [{ path: '/lib', leadsTo: '/usr/lib' }],
  )
  assert.deepEqual(granted(plan), ['rx /usr'])
})

test('a link below the workspace does not make its end executable, nor the workspace', () => {
  const places = {
    '/opt/x': {
      real: `${workspace}/x`,
      kind: 'folder' as const,
      links: [{ path: '/opt/x', leadsTo: `${workspace}/x` }],
    },
  }
  assert.deepEqual(granted(planned('filesystem_policy: { read_only: [/opt/x] }', {}, places)), [
    `r ${workspace}/x`,
    'rx /usr/bin/tool',
  ])
})

test('a single widened file still runs in the workspace', () => {
  assert.equal(planned('filesystem_policy: { read_write: [./note.txt] }').folder, workspace)
})

test('limits and environment are said in full', () => {
  const plan = planned('limits: { wall_ms: 1500, memory_mb: 64, tmp_mb: 1 }', { env: { EXTRA: '1' } })
  assert.equal(plan.limits.wall_ms, 1500)
  assert.equal(plan.limits.memory_bytes, 64 * 1024 * 1024)
  assert.deepEqual(Object.keys(plan.env).sort(), ['EXTRA', 'HOME', 'LANG', 'PATH', 'PYTHONNOUSERSITE', 'TMPDIR'])
})

test('a spec is strings closed by NUL, and none may hold one', () => {
  const plan = planned('filesystem_policy: { read_only: [.] }')
  const strings = encodeSpec(plan).text.toString().split('\0')
  assert.deepEqual(strings.slice(0, 2), ['program', '/usr/bin/tool'])
  assert.deepEqual(strings.slice(-2), ['end', ''])
  const at = strings.indexOf(workspace, strings.indexOf('mount'))
  assert.deepEqual(strings.slice(at - 3, at + 2), ['mount', 'r', 'folder', workspace, workspace])
  assert.throws(() => encodeSpec({ ...plan, args: ['a\0b'] }), /NUL/)
})
