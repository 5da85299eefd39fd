/** A process that this one has started, or that one of those has: found by a word of its command line. */
import { readdir, readFile } from 'node:fs/promises'

const withinMs = 10_000

/** Looks every few milliseconds. */
export async function descendant(word: string): Promise<number> {
  for (const begun = performance.now(); performance.now() - begun < withinMs; ) {
    const found = (await descendantsOf(process.pid)).find(({ command }) => command.includes(word))
    if (found) return found.pid
    await new Promise((soon) => setTimeout(soon, 10))
  }
  throw new Error(`no process with ${word} in its command line came up`)
}

export async function parentOf(pid: number): Promise<number> {
  return (await look(String(pid)))?.parent ?? 0
}

async function descendantsOf(root: number): Promise<{ pid: number; command: string }[]> {
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(look))
  const found: { pid: number; command: string }[] = []
  for (let parents = [root]; parents.length > 0; ) {
    const children = all.flatMap((each) => (each && parents.includes(each.parent) ? [each] : []))
    found.push(...children)
    parents = children.map(({ pid }) => pid)
  }
  return found
}

async function look(name: string) {
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
