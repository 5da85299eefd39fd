/**
 * Sends numbered mail, some of it large, while everybody who has a part in it is killed again and again: the sender, the office, the taker, the broker, which also stands still every other time.
 * Says what became of it.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { addressesOf } from '../../mesh/address.js'
import { DeadStream } from '../../mesh/dead/stream.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { enrol, writeCredentials } from '../../mesh/seal/credentials.js'
import type { Bucket } from '../../mesh/transport/transport.js'
import { eventually } from '../kit/eventually.js'
import { natsMesh } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { linesIn } from './mail-life.js'

export interface Mailed {
  /** How many lives each party took. */
  lives: Record<string, number>
  brokerDeaths: number
  /** How often it stood still. */
  brokerHalts: number
  /** Deliveries beyond the first. */
  repeats: number
  /** What is wrong; nothing if all promises held. */
  faults: string[]
}

const life = fileURLToPath(new URL('mail-life.js', import.meta.url))
const parties = { office: 'authority', sender: 'worker', taker: 'worker' } as const
/** More often, and the broker is given up, as it should be. */
const brokerLivesMs = 7000
const brokerHaltsMs = 4000
const standstillMs = 120_000
const clearedWithinMs = 60_000

interface Deaths {
  /** A life ends after up to so many moments. */
  moments: number
  /** How many of each party. */
  most: number
  ofBroker: boolean
}

export async function mailThroughDeaths(seed: number, count: number, deaths: Deaths): Promise<Mailed> {
  const random = seededRandom(seed)
  const mesh = await natsMesh(undefined, (folder) => openAuthority(join(folder, 'authority'), Date.now()))
  const { folder, authority, accounts, broker } = mesh
  const keep = (who: string, user: object) => writeFileSync(join(folder, `${who}.user`), JSON.stringify(user))
  keep('administrator', await accounts.administrator('mesh'))
  for (const [name, role] of Object.entries(parties)) {
    const credentials = enrol(authority, { name, roles: [role] }, Date.now())
    writeCredentials(join(folder, `${name}.credentials`), credentials)
    keep(name, await mesh.memberUser(credentials))
  }
  const lives: Record<string, number> = {}
  const running = new Map<string, ChildProcess>()
  let isOver = false
  const keepAlive = async (party: string) => {
    while (!isOver) {
      lives[party] = (lives[party] ?? 0) + 1
      const moments = lives[party] > deaths.most ? 0 : 1 + wholeBelow(random, deaths.moments)
      const args = [life, folder, broker.url, party, String(count), String(moments)]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      running.set(party, child)
      const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
      if (status === 0) return
    }
  }
  const kept = Object.keys(parties).map(keepAlive)
  let brokerDeaths = 0
  let brokerHalts = 0
  let brokerBorn = 0
  let seen = { effects: -1, at: performance.now() }
  const faults: string[] = []
  try {
    const effects = () => linesIn(join(folder, 'effects'))
    const acknowledged = () => linesIn(join(folder, 'acknowledged'))
    while (acknowledged().length < count || new Set(effects()).size < count) {
      const now = performance.now()
      if (effects().length !== seen.effects) seen = { effects: effects().length, at: now }
      if (now - seen.at > standstillMs) {
        faults.push(`nothing moves after ${seen.effects} effects and ${acknowledged().length} acknowledgements`)
        break
      }
      // The first death comes when there is something to lose.
      if (deaths.ofBroker && seen.effects > 0 && now - brokerBorn > brokerLivesMs) {
        brokerBorn = now
        if (brokerDeaths > brokerHalts) {
          brokerHalts += 1
          process.kill(broker.pid, 'SIGSTOP')
          await setTimeout(brokerHaltsMs)
          process.kill(broker.pid, 'SIGCONT')
        } else {
          brokerDeaths += 1
          process.kill(broker.pid, 'SIGKILL')
        }
      }
      await setTimeout(50)
    }
    const deliveries = linesIn(join(folder, 'deliveries'))
    faults.push(...faultsIn(count, deliveries, effects(), acknowledged()))
    const transport = await mesh.connectAsAuthority()
    const log = transport.log(addressesOf(authority.mesh, authority.meshKey).deadStream)
    const { kept: letters } = await new DeadStream(log, authority).list()
    if (letters.length > 0) faults.push(`${letters.length} dead letters`)
    const bucket = await transport.bucket(addressesOf(authority.mesh, authority.meshKey).mail)
    const isClear = eventually(async () => assert.equal(await piecesIn(bucket), 0), clearedWithinMs)
    await isClear.catch(({ message }: Error) => faults.push(`pieces are left: ${message}`))
    await transport.close()
    return { lives, brokerDeaths, brokerHalts, repeats: deliveries.length - new Set(deliveries).size, faults }
  } finally {
    isOver = true
    for (const child of running.values()) child.kill('SIGKILL')
    await Promise.all(kept)
    await mesh.close()
  }
}

async function piecesIn(bucket: Bucket): Promise<number> {
  let pieces = 0
  const watch = await bucket.watch(({ value }) => {
    if (value) pieces += 1
  }, 'body.*.*.*')
  watch.unsubscribe()
  return pieces
}

/** Lines are `number id`. */
function faultsIn(count: number, deliveries: string[], effects: string[], acknowledged: string[]): string[] {
  const faults: string[] = []
  const numbers = (lines: string[]) => lines.map((line) => Number(line.split(' ')[0]))
  const first = [...new Set(numbers(deliveries))]
  if (first.some((number, index) => number < (first[index - 1] ?? -1))) faults.push(`out of order: ${first.join(' ')}`)
  for (let number = 0; number < count; number += 1) {
    const times = numbers(effects).filter((one) => one === number).length
    const ids = new Set(deliveries.filter((line) => line.startsWith(`${number} `)))
    if (times === 0) faults.push(`${number} was lost${acknowledged.includes(String(number)) ? ', acknowledged' : ''}`)
    if (times > 1) faults.push(`${number} had its effect ${times} times`)
    if (ids.size > 1) faults.push(`${number} came under ${ids.size} ids`)
  }
  return faults
}

export async function soakMail(count: number, seed: number): Promise<boolean> {
  let clean = true
  for (let number = seed; number < seed + count; number += 1) {
    for (const moments of [12, 60]) {
      const { lives, brokerDeaths, brokerHalts, repeats, faults } = await mailThroughDeaths(number, 24, {
        moments,
        most: 1000,
        ofBroker: true,
      })
      clean &&= faults.length === 0
      process.stdout.write(
        `seed ${number}: lives ${JSON.stringify(lives)}, ${brokerDeaths} deaths and ${brokerHalts} halts of the broker, ${repeats} repeats: ${faults.join('; ') || 'clean'}\n`,
      )
    }
  }
  return clean
}
