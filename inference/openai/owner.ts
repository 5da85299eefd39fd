/** Whose program it is that listens on a port of this machine, by the kernel's own table. A prompt is for the person and for nobody else who has an account. */
import { readFile } from 'node:fs/promises'

/** Ids below this belong to services of the machine, where /etc/login.defs does not say otherwise. */
const usualFirstPerson = 1000
const listening = '0A'

export const nameIt = 'If you trust it, name it: `--model URL`, or CLAWMESH_MODEL_URL.'

/** Of a server that is there as much as of one that is gone. */
export const unseen = 'nobody is seen to run it'

/**
 * Why a server may not be trusted with prompts unasked; undefined if it may: all who listen on its port are the person's own programs, root's, or a service's
 * of the machine. Where the kernel does not say whose they are, nobody's are.
 */
export async function distrust(base: string): Promise<string | undefined> {
  const { port, protocol } = new URL(base)
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => undefined)),
  )
  const known = tables.filter((table) => table !== undefined)
  if (known.length === 0) return 'this system does not say who runs it'
  const owners = known.flatMap((table) => ownersOf(table, number))
  const firstPerson = firstPersonIn(await readFile('/etc/login.defs', 'utf8').catch(() => ''))
  const strangers = owners.filter((uid) => uid !== process.geteuid?.() && uid >= firstPerson)
  if (strangers.length > 0) return `another user of this machine runs it (user id ${strangers[0]})`
  return owners.length > 0 ? undefined : unseen
}

/** The user ids of all who listen on a port where a connection over loopback may reach them. `table`: as in /proc/net/tcp (proc(5)). */
export function ownersOf(table: string, port: number): number[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => {
      const [address = '', hexPort = ''] = local.split(':')
      return state === listening && Number.parseInt(hexPort, 16) === port && isReachedByLoopback(address)
    })
    .map((fields) => Number(fields[7]))
}

/** An address in the table is made of 32-bit words in hexadecimal, each in the byte order of the machine: the last byte first on all that we run on. */
function isReachedByLoopback(address: string): boolean {
  const words = address.match(/.{8}/g)?.map((word) => Buffer.from(word, 'hex').reverse()) ?? []
  const bytes = Buffer.concat(words)
  if (bytes.every((byte) => byte === 0)) return true
  if (bytes.length === 4) return bytes[0] === 127
  const hex = bytes.toString('hex')
  return (
    hex === '1'.padStart(32, '0') ||
    hex.startsWith(`${'0'.repeat(20)}ffff7f`) ||
    hex === `${'0'.repeat(20)}ffff00000000`
  )
}

export const firstPersonIn = (loginDefs: string): number =>
  Number(/^\s*UID_MIN\s+(\d+)/m.exec(loginDefs)?.[1] ?? usualFirstPerson)
