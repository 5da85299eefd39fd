/** A process that this one has started, or that one of those has: found by a word of its command line. */
import { readdir, readFile } from 'node:fs/promises'

interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

const withinMs = 60_000

/** Looks every few milliseconds. */
export async function descendant(word: string): Promise<number> {
  for (const begun = performance.now(); performance.now() - begun < withinMs; ) {
    const found = (await descendantsOf(process.pid)).find(({ command }) => command.includes(word))
    if (found) return found.pid
    await new Promise((soon) => setTimeout(soon, 10))
  }
  throw new Error(`no process with ${word} in its command line came up`)
}

/** 0 where it is gone. */
export async function parentOf(pid: number): Promise<number> {
  return (await look(String(pid)))?.parent ?? 0
}

/** Children, their children, and so on. */
export async function descendantsOf(root: number): Promise<Process[]> {
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(look))
  const found: Process[] = []
  for (let parents = [root]; parents.length > 0; ) {
    const children = all.flatMap((each) => (each && parents.includes(each.parent) ? [each] : []))
    found.push(...children)
    parents = children.map(({ pid }) => pid)
  }
  return found
}

async function look(name: string): Promise<Process | undefined> {
  try {
    const [stat, command] = await Promise.all([
      readFile(`/proc/${name}/stat`, 'utf8'),
      readFile(`/proc/${name}/cmdline`, 'utf8'),
    ])
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid: Number(name), parent: Number(parent), command }
  } catch {
    return undefined
  }
}
