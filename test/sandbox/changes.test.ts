/** Names that a running program changes beyond what it was granted: plain programs, people who answer, the machine's own disk. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, lstat, mkdir, readdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { wantedAttributes } from '../../sandbox/opens/attribute.js'
import type { AskedOfFile, OpensHooks } from '../../sandbox/opens/opens.js'
import { Pool } from '../../sandbox/pool.js'
import { descendant } from './descendant.js'
import { askAll, heldRun } from './held-run.js'
import { newStage, pool } from './stage.js'

/** A workspace that is read only, and beside it what no policy grants. */
async function stage() {
  const { folder, workspace } = await newStage('/var/tmp')
  const beside = join(folder, 'beside')
  await mkdir(join(beside, 'full', 'inner'), { recursive: true })
  await mkdir(join(beside, 'empty'))
  await writeFile(join(beside, 'letter'), 'dear')
  await writeFile(join(workspace, 'notes'), 'mine')
  return { workspace, beside }
}

/** @param script Perl, where `t(NAME, RESULT)` prints what came of a call */
async function run(
  workspace: string,
  script: string,
  hooks: Partial<OpensHooks> = {},
  { policy = askAll, granted = 'read_only: [., /usr, /bin, /lib, /lib64]', by = pool } = {},
) {
  const says = 'sub t { print $_[0], " ", $_[1] ? "done" : $!, "\\n" }'
  const action = { program: '/usr/bin/perl', args: ['-e', `${says} ${script}`] }
  const given = `filesystem_policy: { ${granted} }\n${policy}`
  const { outcome, asked, told } = await heldRun(given, workspace, action, hooks, { by })
  const wishes = asked.map(({ operation, path, to }) => [operation, path, ...(to === undefined ? [] : [to])].join(' '))
  const [out, err] = [outcome.stdout.toString(), outcome.stderr.toString()]
  return { out: out.trim().split('\n'), err, told, asked, wishes }
}

describe('a name that a running program changes', {
  concurrency: 2,
  skip: !existsSync('/usr/bin/perl') && 'there is no Perl here',
}, () => {
  test('is asked for by its operation and its real path, and is changed by a yes', async () => {
    const { workspace, beside } = await stage()
    await symlink(beside, join(workspace, 'way'))
    const { out, wishes, told, asked, err } = await run(
      workspace,
      `$w = "${workspace}"; $b = "${beside}"; t("remove", unlink "$w/notes"); t("rename", rename "$w/way/../beside/letter", "$b/sent");
      t("make", mkdir "$b/made", 0750); t("remove-folder", rmdir "$w/way/empty"); t("full", rmdir "$b/full")`,
    )
    assert.deepEqual(
      wishes,
      [
        `remove ${workspace}/notes`,
        `rename ${beside}/letter ${beside}/sent`,
        `make-folder ${beside}/made`,
        `remove-folder ${beside}/empty`,
        `remove-folder ${beside}/full`,
      ],
      err,
    )
    assert.match(asked[0]?.by ?? '', /perl/)
    assert.deepEqual(out, ['remove done', 'rename done', 'make done', 'remove-folder done', 'full Directory not empty'])
    assert.deepEqual((await readdir(beside)).sort(), ['full', 'made', 'sent'])
    assert.equal((await stat(join(beside, 'made'))).mode & 0o777, 0o750)
    assert.ok(!existsSync(join(workspace, 'notes')))
    assert.deepEqual(
      told.map(({ kind, facts }) => `${kind} ${facts.operation}`),
      [
        ...['remove', 'rename', 'make-folder', 'remove-folder'].flatMap((each) => [
          `file.intended ${each}`,
          `file.changed ${each}`,
        ]),
        'file.intended remove-folder',
        'file.refused remove-folder',
      ],
    )
  })

  test('stays as it is where nobody allows it, and where the intent cannot be recorded', async () => {
    const { workspace, beside } = await stage()
    const script = `t("remove", unlink "${workspace}/notes"); t("rename", rename "${beside}/letter", "${beside}/sent")`
    const refused = await run(workspace, script, { ask: async () => ({ refusedBy: 'Grace' }) })
    assert.deepEqual(refused.out, ['remove Permission denied', 'rename Permission denied'])
    assert.ok(refused.told.every(({ facts }) => facts['reason'] === 'it was not allowed, by Grace'))
    const down = await run(workspace, script, { intend: () => Promise.reject(new Error('the audit stream is down')) })
    assert.deepEqual(down.out, refused.out)
    assert.equal(await readFile(join(workspace, 'notes'), 'utf8'), 'mine')
    assert.equal(await readFile(join(beside, 'letter'), 'utf8'), 'dear')
  })

  test('is not asked for where the kernel alone decides', async () => {
    const { workspace, beside } = await stage()
    await mkdir(join(workspace, 'bare'))
    await writeFile(join(workspace, 'kept'), 'kept')
    await mkdir(join(workspace, 'pinned', 'inner'), { recursive: true })
    spawnSync('mkfifo', [join(beside, 'pipe')])
    const { out, wishes } = await run(
      workspace,
      `$w = "${workspace}"; $b = "${beside}"; t("granted", rename "$w/notes", "$w/mine"); t("none", rename "$b/none", "$b/some");
      t("above", rename "$w/pinned", "$w/moved"); t("apart", rename "$b/full", "$w/full"); t("replaced", rename "$b/full", "$b/empty");
      t("set-id", chmod 04755, "$b/letter"); t("no-mode", chmod 0600, "$b/none"); t("no-times", utime 1, 1, "$b/none"); t("pipe", chmod 0600, "$b/pipe"); t("second", link "$b/full", "$w/full"); t("over", rename "$b/letter", "$b/empty");
      t("mount", rename "$w/kept", "$w/left"); t("off", unlink "$w/kept"); t("onto", rename "$w/mine", "$w/kept"); t("bare", rmdir "$w/bare"); t("there", mkdir "$b/full"); t("above", rmdir "$w/pinned"); t("own", mkdir "/tmp/x");
      t("dots", rmdir "$b/empty/.")`,
      {},
      { granted: 'include_workdir: true, read_only: [./kept, ./bare, ./pinned/inner, /usr, /bin, /lib, /lib64]' },
    )
    assert.deepEqual(wishes, [])
    assert.deepEqual(
      out.filter((line) => line.endsWith(' done')),
      ['granted done', 'own done'],
    )
    const narrow = await run(
      workspace,
      `t("beside", rename "${beside}/letter", "${beside}/sent")`,
      {},
      { policy: 'ask: [{ write: / }]' },
    )
    assert.deepEqual(narrow.wishes, [], 'what is renamed could be read by its new name')
  })

  test('has the mode or the times that it is asked for with, and is a folder that keeps what is in it', async () => {
    const { workspace, beside } = await stage()
    await symlink(beside, join(workspace, 'way'))
    const script = `$w = "${workspace}"; $b = "${beside}"; t("mode", chmod 0604, "$w/way/letter"); t("times", utime 1000000000, 1000000001, "$b/letter");
      t("mine", chmod 0700, "$w/notes"); t("folder", chmod 0711, "$b/full"); t("rename", rename "$b/full", "$b/moved"); t("own", chmod 0600, "/tmp"); t("no", chmod 0777, "$b/empty")`
    const { out, wishes, told, err } = await run(workspace, script, {
      ask: async ({ to }) => (to === '0777' ? { refusedBy: 'Grace' } : 'allow'),
    })
    const times = '2001-09-09T01:46:40Z (access) and 2001-09-09T01:46:41Z (writing)'
    assert.deepEqual(
      wishes,
      [
        `mode ${beside}/letter 0604`,
        `times ${beside}/letter ${times}`,
        `mode ${workspace}/notes 0700`,
        `mode ${beside}/full 0711`,
        `rename-folder ${beside}/full ${beside}/moved`,
        `mode ${beside}/empty 0777`,
      ],
      err,
    )
    const done = ['mode', 'times', 'mine', 'folder', 'rename', 'own'].map((each) => `${each} done`)
    assert.deepEqual(out, [...done, 'no Permission denied'])
    const letter = await stat(join(beside, 'letter'))
    assert.deepEqual([letter.mode & 0o777, letter.atimeMs, letter.mtimeMs], [0o604, 1e12, 1e12 + 1000])
    assert.equal((await stat(join(workspace, 'notes'))).mode & 0o777, 0o700)
    assert.equal((await stat(join(beside, 'moved'))).mode & 0o777, 0o711)
    assert.deepEqual(await readdir(join(beside, 'moved')), ['inner'])
    assert.equal((await stat(join(beside, 'empty'))).mode & 0o777, 0o755)
    assert.equal(told.filter(({ kind }) => kind === 'file.changed').length, 5)
    const inWords = async (times: string) => (await wantedAttributes('times', join(beside, 'letter'), times, 0))?.to
    assert.equal(await inWords(`0 ${0x3fffffff} 0 ${0x3fffffff}`), 'now')
    assert.equal(await inWords(`0 ${0x3ffffffe} 5 7`), 'as it is (access) and 1970-01-01T00:00:05.000000007Z (writing)')
    assert.equal(await inWords('8640000000001 0 0 0'), undefined)
  })

  test('is no folder of which the policy says something of its own, under its old name or its new one', async () => {
    const { workspace, beside } = await stage()
    const script = `$b = "${beside}"; t("read", rename "$b/full", "$b/moved"); t("hidden", rename "$b/empty", "$b/late")`
    const granted = `read_only: [., /usr, /bin, /lib, /lib64, "${beside}/full/none"], hidden: ["${beside}/late/secret"]`
    const { out, wishes } = await run(workspace, script, {}, { granted })
    assert.deepEqual([wishes, out.filter((line) => line.endsWith(' done'))], [[], []])
    assert.deepEqual((await readdir(beside)).sort(), ['empty', 'full', 'letter'])
  })

  test('goes from one folder to another, has a second name, is a link that is made, is cut: each asked for by all that it is of', async () => {
    const { workspace, beside } = await stage()
    await mkdir(join(workspace, 'out'))
    await writeFile(join(workspace, 'out', 'sum'), 'sum')
    await writeFile(join(beside, 'kept'), 'kept')
    const { out, wishes, told, err } = await run(
      workspace,
      `$w = "${workspace}"; $b = "${beside}"; t("out", rename "$w/out/sum", "$b/sum"); t("in", rename "$b/letter", "$w/out/letter"); t("over", rename "$w/out/letter", "$b/kept");
      chdir "$w/out"; t("second", link "../../beside/sum", "again"); t("there", link "$b/sum", "$w/out/again"); t("link", symlink "../beside/none", "$w/way"); t("cut", truncate "$b/sum", 2); t("long", truncate "$b/sum", 65 << 20)`,
      {},
      { granted: 'read_only: [., /usr, /bin, /lib, /lib64], read_write: [./out]' },
    )
    assert.deepEqual(
      wishes,
      [
        `rename ${workspace}/out/sum ${beside}/sum`,
        `rename ${beside}/letter ${workspace}/out/letter`,
        `rename ${workspace}/out/letter ${beside}/kept`,
        `link ${beside}/sum ${workspace}/out/again`,
        `symlink ${workspace}/way ../beside/none`,
        ` ${beside}/sum`,
      ],
      err,
    )
    const done = ['out', 'in', 'over', 'second', 'link', 'cut'].map((each) => `${each} done`)
    assert.deepEqual(
      out.filter((line) => line.endsWith(' done')),
      done,
    )
    assert.ok(out.includes('there File exists'))
    assert.ok(out.includes('long File too large'), 'the policy says how large a file may be')
    assert.equal(await readFile(join(workspace, 'out', 'again'), 'utf8'), 'su')
    assert.equal((await stat(join(beside, 'sum'))).nlink, 2)
    assert.equal(await readFile(join(beside, 'kept'), 'utf8'), 'dear')
    assert.equal(await readlink(join(workspace, 'way')), '../beside/none')
    assert.equal(told.filter(({ kind }) => kind === 'file.changed').length, 5)
  })

  test('goes from no folder to that of another owner, which only root has: programs then copy', async () => {
    const { workspace, beside } = await stage()
    const root = process.geteuid?.() === 0
    if (root) await chown(join(beside, 'empty'), 1, 1)
    const script = `t("link", link "${beside}/letter", "${beside}/empty/letter"); t("it", rename "${beside}/letter", "${beside}/empty/other")`
    const { out, wishes } = await run(workspace, script)
    const came = root ? 'Invalid cross-device link' : 'done'
    assert.deepEqual([out, wishes.length], [[`link ${came}`, `it ${came}`], root ? 0 : 2])
  })

  test('is not asked for where a link would stand for what the policy grants', async () => {
    const { workspace, beside } = await stage()
    await symlink(beside, join(workspace, 'way'))
    const [first, second] = [join(beside, '..', 'first'), join(beside, '..', 'second')]
    await symlink(second, first)
    await symlink(beside, second)
    await symlink('/etc', join(beside, '..', 'third'))
    const { out, wishes } = await run(
      workspace,
      `$w = "${workspace}"; $b = "${beside}"; t("between", rename "$b/../third", "$b/../second"); t("named", symlink "${beside}", "$w/data"); t("above", symlink "${beside}", "$w/far"); t("moved", rename "$w/way", "$w/data"); t("through", symlink "/etc", "$b/late"); t("program", symlink "/usr/bin/env", "$b/tool"); t("aside", symlink "${beside}", "$w/other")`,
      {},
      {
        granted: `read_only: [., ./data, ./way/late, ./far/away, "${beside}", "${first}", /usr, /bin, /lib, /lib64]`,
        policy: `${askAll}\nexec: ["${beside}/tool", /usr, /bin, /lib, /lib64]`,
      },
    )
    assert.deepEqual(wishes, [`symlink ${workspace}/other ${beside}`])
    assert.deepEqual(
      out.filter((line) => line.endsWith(' done')),
      ['aside done'],
    )
  })

  test('goes nowhere where its folder, or what it is to be a name of, is another by the time of the yes', async () => {
    const { workspace, beside } = await stage()
    const swapped = async (script: string, swap: (asked: AskedOfFile) => Promise<unknown>) => {
      const { out } = await run(workspace, `$w = "${workspace}"; $b = "${beside}"; t("it", ${script})`, {
        ask: async (asked) => {
          await swap(asked)
          return 'allow'
        },
      })
      assert.match(out[0] ?? '', /^it (?!done)/, script)
    }
    await swapped('link "$w/notes", "$b/notes"', async ({ path }) => {
      await rename(path, `${path}.kept`)
      await writeFile(path, 'another')
    })
    await swapped('rename "$w/notes", "$b/empty/notes"', async () => {
      await rename(join(beside, 'empty'), join(beside, 'was'))
      await symlink(workspace, join(beside, 'empty'))
    })
    await swapped('chmod 0777, "$w/notes"', async ({ path }) => {
      await rename(path, `${path}.old`)
      await writeFile(path, 'another', { mode: 0o600 })
    })
    await swapped('utime 1, 1, "$w/notes"', async ({ path }) => {
      await rename(path, `${path}.older`)
      await symlink(`${path}.old`, path)
    })
    await rename(join(workspace, 'notes.older'), join(workspace, 'notes'))
    assert.equal((await stat(join(workspace, 'notes'))).mode & 0o777, 0o600)
    await swapped('rename "$b/full", "$b/moved"', async ({ path }) => {
      await rename(path, `${path}.kept`)
      await writeFile(path, 'a file')
    })
    assert.equal(await readFile(join(beside, 'full'), 'utf8'), 'a file')
    await swapped('symlink "x", "$b/new"', () => writeFile(join(beside, 'new'), 'there'))
    await swapped('rename "$w/notes", "$b/new"', async ({ to = '' }) => {
      await rename(to, `${to}.kept`)
      await writeFile(to, 'another')
    })
    assert.deepEqual((await readdir(workspace)).sort(), ['notes', 'notes.kept', 'notes.old'])
    assert.deepEqual(await readdir(join(beside, 'was')), [])
    assert.equal(await readFile(join(beside, 'new'), 'utf8'), 'another')
  })

  test('is made for an action that prints more than is read meanwhile', async () => {
    const { workspace, beside } = await stage()
    const flood = 'my $much = "x" x 65536; if (fork == 0) { while (1) { syswrite(STDOUT, $much) } }'
    const { err } = await run(
      workspace,
      `${flood} mkdir "${beside}/$_" or print STDERR "$!\n" for 1 .. 3`,
      {},
      { policy: `${askAll}\nlimits: { output_bytes: 268435456 }` },
    )
    assert.equal(err, '')
    assert.deepEqual((await readdir(beside)).sort().slice(0, 3), ['1', '2', '3'])
  })

  test('is in doubt where who makes it is ended before it can say, and the record does not say that nothing was done', async () => {
    const { workspace } = await stage()
    class Ending extends Pool {
      override async worker() {
        const worker = await super.worker()
        worker.kill()
        return worker
      }
    }
    const ending = new Ending({ idle: 0 })
    const { out, told } = await run(workspace, `t("remove", unlink "${workspace}/notes")`, {}, { by: ending })
    ending.close()
    assert.deepEqual(out, ['remove Permission denied'])
    assert.match(String(told.at(-1)?.facts['reason']), /may have been done, or not/)
  })

  test('is that of what was asked about: another in its place stays', async () => {
    const { workspace, beside } = await stage()
    const { out } = await run(workspace, `t("rename", rename "${beside}/letter", "${beside}/sent")`, {
      ask: async ({ path }) => {
        await rename(path, `${path}.kept`)
        await writeFile(path, 'another')
        return 'allow'
      },
    })
    assert.match(out[0] ?? '', /^rename (?!done)/)
    const elsewhere = await run(workspace, `t("make", mkdir "${beside}/full/made")`, {
      ask: async () => {
        await rename(join(beside, 'full'), join(beside, 'was'))
        await symlink(workspace, join(beside, 'full'))
        return 'allow'
      },
    })
    assert.match(elsewhere.out[0] ?? '', /^make (?!done)/)
    assert.equal(await readFile(join(beside, 'letter'), 'utf8'), 'another')
    assert.ok(!existsSync(join(workspace, 'made')))
    assert.ok((await lstat(join(beside, 'full'))).isSymbolicLink())
  })

  test('replaces by a rename nothing that was not asked about: what has appeared at the new name stays, and another in the place of what was there', async () => {
    const { workspace, beside } = await stage()
    const script = `t("rename", rename "${beside}/letter", "${beside}/sent")`
    const another = async ({ to = '' }: AskedOfFile) => {
      // Put there in one go, while what was there is kept, so that it has another number.
      await writeFile(`${to}.new`, 'another')
      if (existsSync(to)) await rename(to, `${to}.kept`)
      await rename(`${to}.new`, to)
      return 'allow' as const
    }
    const appeared = await run(workspace, script, { ask: another })
    assert.deepEqual(appeared.out, ['rename File exists'])
    assert.deepEqual(appeared.asked[0]?.replaces, undefined)
    const changed = await run(workspace, script, { ask: another })
    assert.match(changed.out[0] ?? '', /^rename Stale file handle/)
    assert.equal(changed.asked[0]?.replaces, true)
    assert.equal(await readFile(join(beside, 'sent'), 'utf8'), 'another')
    assert.equal(await readFile(join(beside, 'letter'), 'utf8'), 'dear')
    const replaced = await run(workspace, script)
    assert.deepEqual(replaced.out, ['rename done'])
    assert.equal(await readFile(join(beside, 'sent'), 'utf8'), 'dear')
  })

  test('is asked for each time that it is done, and not again where it was refused', async () => {
    const { workspace, beside } = await stage()
    const [there, back] = [`rename "${beside}/letter", "${beside}/sent"`, `rename "${beside}/sent", "${beside}/letter"`]
    const script = `t("there", ${there}); t("back", ${back}); t("there", ${there})`
    const { out, asked } = await run(workspace, script)
    assert.deepEqual(out, ['there done', 'back done', 'there done'])
    assert.equal(asked.length, 3)
    const refused = await run(workspace, `t("back", ${back}); t("back", ${back})`, {
      ask: async () => ({ refusedBy: 'Grace' }),
    })
    assert.deepEqual(refused.out, ['back Permission denied', 'back Permission denied'])
    assert.equal(refused.asked.length, 1)
  })

  test('is asked for once more where the same rename would replace something by now', async () => {
    const { workspace, beside } = await stage()
    const again = 'open $f, ">", $l; print $f "second"; close $f'
    const { out, asked } = await run(
      workspace,
      `$l = "${beside}/letter"; t("first", rename $l, "${beside}/sent"); ${again}; t("again", rename $l, "${beside}/sent")`,
      { ask: async ({ replaces }) => (replaces ? { refusedBy: 'Grace' } : 'allow') },
    )
    assert.deepEqual(out, ['first done', 'again Permission denied'])
    assert.deepEqual(
      asked.filter(({ operation }) => operation === 'rename').map(({ replaces = false }) => replaces),
      [false, true],
    )
    assert.equal(await readFile(join(beside, 'sent'), 'utf8'), 'dear')
  })

  test('is not changed for a process that has ended by the time of the yes', async () => {
    const { workspace } = await stage()
    const until = (name: string) => `until (-e "${workspace}/${name}") { select undef, undef, undef, 0.02 }`
    // The word by which it is known that the child is gone stands in no command line before.
    const gone = `$0 = "child" . "-gone"; ${until('told')}`
    const script = `$child = fork; if (!$child) { unlink "${workspace}/notes"; exit } ${until('asked')}; kill 9, $child; wait; ${gone}`
    let answered = false
    const kinds: string[] = []
    const { told } = await run(workspace, script, {
      ask: async () => {
        await writeFile(join(workspace, 'asked'), '')
        await descendant('child-gone')
        answered = true
        return 'allow'
      },
      record: (kind) => {
        kinds.push(kind)
        void writeFile(join(workspace, 'told'), '')
      },
    })
    assert.ok(answered)
    assert.deepEqual([...told.map(({ kind }) => kind), ...kinds], ['file.intended', 'file.refused'])
    assert.equal(await readFile(join(workspace, 'notes'), 'utf8'), 'mine')
  })
})
