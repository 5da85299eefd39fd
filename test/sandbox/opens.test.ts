/** Files that a running program opens beyond what it was granted: plain programs, people who answer, the machine's own disk. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { OpensHooks } from '../../sandbox/opens/opens.js'
import { askAll, heldRun } from './held-run.js'
import { newStage } from './stage.js'

/** A workspace that is read only, and beside it what no policy grants. */
async function stage() {
  const { folder, workspace } = await newStage('/var/tmp')
  const beside = join(folder, 'beside')
  await mkdir(beside)
  await writeFile(join(beside, 'letter'), 'dear')
  await writeFile(join(workspace, 'notes'), 'mine')
  return { workspace, beside }
}

async function run(
  { workspace }: { workspace: string },
  script: string,
  hooks: Partial<OpensHooks> = {},
  { policy = askAll, program = '/bin/sh', args = ['-c', script], stdin = '', more = '' } = {},
) {
  const given = `filesystem_policy: { read_only: [., /usr, /bin, /lib, /lib64${more}] }\n${policy}`
  const { outcome, asked, told } = await heldRun(given, workspace, { program, args }, hooks, { stdin })
  const wishes = asked.map(({ kind, path }) => `${kind} ${path}`)
  return { ...outcome, out: outcome.stdout.toString(), err: outcome.stderr.toString(), told, asked, wishes }
}

describe('a file that a running program opens', { concurrency: 2 }, () => {
  test('is asked for in the name of the script, where an interpreter runs one', async () => {
    const { workspace, beside } = await stage()
    const script = `read line < '${beside}/letter'; echo $line\n`
    await writeFile(join(workspace, 'reader.sh'), script)
    const { asked, err } = await run({ workspace }, `sh ./reader.sh; sh -c ". ./reader.sh"`, {
      ask: async () => ({ refusedBy: 'Grace' }),
    })
    const shell = await realpath('/bin/sh')
    const sha256 = createHash('sha256').update(script).digest('hex')
    assert.equal(asked[0]?.by, `${shell} running ${join(workspace, 'reader.sh')} sha256:${sha256}`, err)
  })

  test('is asked for by its real path, with the program, and the program goes on with it', async () => {
    const { workspace, beside } = await stage()
    const { out, err, asked, told } = await run({ workspace }, `cat "${beside}/../beside/letter"`)
    assert.equal(out, 'dear', err)
    assert.deepEqual(
      asked.map(({ kind, path }) => [kind, path]),
      [['read', join(beside, 'letter')]],
    )
    assert.match(asked[0]?.by ?? '', /cat|coreutils|busybox/)
    assert.deepEqual(
      told.map(({ kind, facts: { access, path } }) => [kind, access, path]),
      [
        ['file.intended', 'read', join(beside, 'letter')],
        ['file.opened', 'read', join(beside, 'letter')],
      ],
    )
  })

  test('is written and made where a person allows it', async () => {
    const { workspace, beside } = await stage()
    const { wishes, err } = await run(
      { workspace },
      `echo new > "${beside}/made"; echo more >> "${beside}/made"; cd "${workspace}"; echo changed > notes`,
    )
    assert.deepEqual(wishes, [`write ${beside}/made`, `write ${workspace}/notes`], err)
    assert.equal(await readFile(join(beside, 'made'), 'utf8'), 'new\nmore\n')
    assert.equal(await readFile(join(workspace, 'notes'), 'utf8'), 'changed\n')
  })

  test('that is not there is not asked for, nor is what the policy does not let be asked for', async () => {
    const { workspace, beside } = await stage()
    const { wishes, out } = await run(
      { workspace },
      `cat "${beside}/none" "${beside}/letter" /etc/ld.so.cache "/proc/self/root${beside}/letter" "${beside}" 2>&1; echo x 2>&1 > "${beside}/none/made"; echo x > /tmp/mine && cat /tmp/mine`,
      {},
      { policy: 'ask: [{ write: . }, { read: /etc }]' },
    )
    assert.deepEqual(wishes, [])
    assert.equal(out.match(/No such file/g)?.length, 5, out)
    assert.match(out, /x\n$/)
  })

  test('is not looked at for reading where writing alone may be asked for', async () => {
    const { workspace, beside } = await stage()
    const { wishes, out } = await run(
      { workspace },
      `cat notes "${beside}/letter" 2>/dev/null; echo x > notes`,
      {},
      { policy: 'ask: [{ write: . }]' },
    )
    assert.deepEqual([wishes, out], [[`write ${workspace}/notes`], 'mine'])
  })

  test('fails where nobody allows it; the same is asked once, and few questions in all', async () => {
    const { workspace, beside } = await stage()
    const { wishes, err, told } = await run(
      { workspace },
      `cat "${beside}/letter"; cat "${beside}/letter"; for i in 1 2 3 4 5 6 7 8 9 10; do echo x > "${beside}/$i"; done`,
      { ask: async () => ({ refusedBy: 'Grace' }) },
    )
    assert.equal(wishes.length, 8)
    assert.equal(err.match(/Permission denied/g)?.length, 12, err)
    assert.deepEqual(
      told
        .map(({ kind, facts }) => [kind, facts.path.replace(beside, ''), facts['again']])
        .filter(([, , again]) => again),
      [['file.refused', '/letter', 1]],
    )
    assert.equal(told.filter(({ kind }) => kind !== 'file.refused').length, 0)
  })

  test('where the action may execute is not asked for, and the record says why', async () => {
    const { workspace, beside } = await stage()
    const tool = join(beside, 'letter')
    const script = `echo x > "${tool}"; ln "${tool}" second; mkdir "${beside}/made"`
    const { wishes, told, err } = await run({ workspace }, script, {}, { more: `, "${beside}"` })
    assert.deepEqual(wishes, [])
    assert.equal(err.match(/Permission denied/g)?.length, 3, err)
    assert.deepEqual(
      told.map(({ kind, facts }) => [kind, facts.path, facts['reason']]),
      [tool, tool, join(beside, 'made')].map((path) => [
        'file.refused',
        path,
        'what the action may execute is not written, so nobody is asked for it',
      ]),
    )
    assert.equal(await readFile(tool, 'utf8'), 'dear')
  })

  test('is not asked for where the policy would lead to it once more: what it names by a link may lead elsewhere by then', async () => {
    const { workspace, beside } = await stage()
    const [named, link] = [`${beside}-named`, `${beside}-link`]
    await symlink(link, named)
    await symlink(workspace, link)
    const script = `rm '${link}' && mkdir '${link}' && echo x > '${link}/tool'`
    const { wishes, err } = await run({ workspace }, script, {}, { more: `, "${named}"` })
    assert.deepEqual(wishes, [`write ${link}`], err)
  })

  test('is asked for by a link that was looked at itself before', {
    skip: !existsSync('/usr/bin/perl') && 'there is no Perl here',
  }, async () => {
    const { workspace, beside } = await stage()
    await symlink(join(beside, 'letter'), join(workspace, 'way'))
    const script = `use Fcntl; for my $f (O_NOFOLLOW, 0) { print sysopen(F, "${workspace}/way", O_RDONLY | $f) ? "open\n" : "$!\n" }`
    const { out, wishes } = await run({ workspace }, '', {}, { program: '/usr/bin/perl', args: ['-e', script] })
    assert.deepEqual(wishes, [`read ${beside}/letter`], out)
  })

  test('that the policy hides by a link to it is not asked for', async () => {
    const { workspace, beside } = await stage()
    await symlink(beside, `${beside}-link`)
    const script = `cat "${beside}/letter"; echo x > "${beside}/letter"`
    const hidden = await run({ workspace }, script, {}, { more: `], hidden: ["${beside}-link"` })
    assert.deepEqual(hidden.wishes, [])
    assert.equal(await readFile(join(beside, 'letter'), 'utf8'), 'dear')
  })

  test('is not opened before its intent is recorded', async () => {
    const { workspace, beside } = await stage()
    const { exitCode } = await run({ workspace }, `echo x > "${beside}/made"`, {
      intend: () => Promise.reject(new Error('the audit stream is down')),
    })
    assert.notEqual(exitCode, 0)
    await assert.rejects(stat(join(beside, 'made')))
  })

  test('is the very file that was asked about: whatever takes its path meanwhile is not opened', async () => {
    for (const swap of [
      // A link to another file.
      async (letter: string) => {
        await rm(letter)
        await symlink(join(letter, '..', 'other'), letter)
      },
      // Another file.
      (letter: string) => rename(join(letter, '..', 'other'), letter),
      // A link on the way.
      async (letter: string) => {
        const beside = join(letter, '..')
        await rename(beside, `${beside}.moved`)
        await symlink(`${beside}.moved`, beside)
      },
    ]) {
      const { workspace, beside } = await stage()
      await writeFile(join(beside, 'other'), 'secret')
      const { out, told } = await run({ workspace }, `cat "${beside}/letter"`, {
        ask: async ({ path }) => {
          await swap(path)
          return 'allow'
        },
      })
      assert.equal(out, '')
      assert.match(String(told.at(-1)?.facts['reason']), /is not what it was when it was decided on/)
    }
  })

  test('that was not there is made at its path only if nothing has come there since', async () => {
    const { workspace, beside } = await stage()
    const { out, told } = await run({ workspace }, `echo x > "${beside}/made"`, {
      ask: async ({ path }) => {
        await writeFile(path, 'theirs')
        return 'allow'
      },
    })
    assert.equal(out, '')
    assert.equal(told.at(-1)?.kind, 'file.refused')
    assert.equal(await readFile(join(beside, 'made'), 'utf8'), 'theirs')
  })

  test('is as it was asked for: flags and mode, closed at exec where it should be', {
    skip: !existsSync('/usr/bin/python3') && 'there is no Python here',
  }, async () => {
    const { workspace, beside } = await stage()
    const script = `
import os, fcntl
d = ${JSON.stringify(beside)}
a = os.open(d + '/letter', os.O_WRONLY | os.O_APPEND)
os.write(a, b'!')
os.umask(0o137)
n = os.open(d + '/made', os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o677)
os.lseek(a, 0, 0); os.write(a, b'?')
folder = os.open('.', os.O_PATH)
r = os.open('../beside/letter', os.O_RDONLY, dir_fd=folder)
print(os.read(r, 99), oct(os.fstat(n).st_mode & 0o777), fcntl.fcntl(n, fcntl.F_GETFD))
try: os.fchmod(r, 0o666)
except OSError as e: print(e.errno)
try: os.open(d + '/made', os.O_CREAT | os.O_RDWR | os.O_EXCL)
except OSError as e: print(e.errno)
`
    const { out, err, wishes } = await run(
      { workspace },
      '',
      {},
      { program: '/usr/bin/python3', args: ['-c', script], policy: `${askAll}\nlimits: { open_files: 64 }` },
    )
    assert.equal(out, "b'dear!?' 0o640 1\n30\n2\n", err)
    assert.deepEqual(wishes, [`write ${beside}/letter`, `write ${beside}/made`, `read ${beside}/letter`])
  })

  test('costs the action no time while a person thinks', async () => {
    const { workspace, beside } = await stage()
    const { out, timedOut } = await run(
      { workspace },
      `cat "${beside}/letter"`,
      { ask: () => new Promise((answer) => setTimeout(answer, 3000, 'allow')) },
      { policy: `${askAll}\nlimits: { wall_ms: 2700 }` },
    )
    assert.deepEqual([out, timedOut], ['dear', false])
  })

  test('whose program is killed while it waits is given to nobody', async () => {
    const { workspace, beside } = await stage()
    await writeFile(join(beside, 'other'), 'later')
    let allow: (answer: 'allow') => void = () => undefined
    const script = `cat "${beside}/letter" & until [ -e asked ]; do sleep 0.02; done; kill -9 $!; wait; cat "${beside}/other"; exit 3`
    const { exitCode, out, told } = await run({ workspace }, script, {
      ask: async ({ path }) => {
        // Nobody asks for the other before the first is gone.
        if (path === join(beside, 'other')) {
          allow('allow')
          return 'allow'
        }
        await writeFile(join(workspace, 'asked'), '')
        return new Promise((answer) => {
          allow = answer
        })
      },
    })
    assert.deepEqual([exitCode, out], [3, 'later'])
    const came = told.filter(({ kind }) => kind !== 'file.intended')
    assert.deepEqual(came.map(({ kind, facts }) => [kind, facts.path.replace(beside, '')]).sort(), [
      ['file.opened', '/other'],
      ['file.refused', '/letter'],
    ])
  })

  test('of an action that has ended is not asked for any more', async () => {
    const { workspace, beside } = await stage()
    let isWithdrawn = false
    const script = `cat "${beside}/letter" & until [ -e asked ]; do sleep 0.02; done; exit 3`
    const { exitCode, told } = await run({ workspace }, script, {
      ask: (_, ended) =>
        new Promise((answer) => {
          ended.addEventListener('abort', () => {
            isWithdrawn = true
            answer('allow')
          })
          void writeFile(join(workspace, 'asked'), '')
        }),
    })
    assert.deepEqual([exitCode, isWithdrawn, told], [3, true, []])
  })
})
