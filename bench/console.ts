/** How soon the console is there, in a real browser on a real gateway: 200 machines, and a trail of 20,000 events, which the gateway has read once. And its size. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { addressesOf } from '../mesh/address.js'
import { Directory } from '../mesh/directory.js'
import { enrol } from '../mesh/seal/credentials.js'
import { beginIncarnation } from '../mesh/seal/incarnation.js'
import type { Bucket } from '../mesh/transport/transport.js'
import { consoleFolder } from '../nodes/gateway/console.js'
import { chromium, openBrowser, openTab } from '../test/kit/chromium.js'
import { eventually } from '../test/kit/eventually.js'
import { ask, openStand, type Stand } from '../test/nodes/gateway/stand.js'
import type { Report } from './figure.js'

const events = 20_000
/** With those of the stand itself they are 200 and a few. */
const others = 200
const rounds = 9

export default async function bench(report: Report): Promise<void> {
  const files = readdirSync(consoleFolder).map((name) => readFileSync(join(consoleFolder, name)))
  const size = files.reduce((sum, file) => sum + gzipSync(file).length, 0) / 1024
  report({ metric: 'all files of the console, gzipped', value: size, unit: 'KB', aim: '≤ 250', ok: size <= 250 })
  if (!chromium) throw new Error('there is no Chromium on this machine')
  const stand = await openStand({ rate: { burst: 10_000, perSecond: 10_000 } })
  let leave: (() => Promise<void>) | undefined
  try {
    const { front, keyOf, url } = stand
    leave = await otherMachines(stand)
    await eventually(() => {
      if (front.nodes().length < others) throw new Error(`${front.nodes().length} of ${others} machines are there`)
    }, 30_000)
    for (let n = 0; n < events; n += 500)
      await Promise.all(
        Array.from({ length: 500 }, (_, at) => front.note('gateway.asked', { key: 'bench', n: n + at }, `t${at}`)),
      )
    await ask(url, '/v1/audit?limit=1', { key: keyOf.admin })
    const browser = await openBrowser()
    try {
      const { page } = await openTab(browser)
      await page.goto(url)
      await page.evaluate(`sessionStorage.setItem('clawmesh-key', ${JSON.stringify(keyOf.admin)})`)
      const views = { mesh: `.map .node:nth-of-type(${others})`, audit: '.audit tbody tr:nth-child(200)' }
      for (const [view, shown] of Object.entries(views)) {
        const times: { first: number; whole: number }[] = []
        for (let round = 0; round < rounds; round += 1) times.push(await paint(page, `${url}/?${round}#${view}`, shown))
        for (const part of ['first', 'whole'] as const) {
          const value = median(times.map((each) => each[part]))
          const what = part === 'first' ? 'first contentful paint' : 'what it shows is there'
          report({
            metric: `${view}, ${others} machines, trail of ${events} events: ${what}, median`,
            value,
            unit: 'ms',
            aim: '≤ 1000',
            ok: value <= 1000,
          })
        }
      }
    } finally {
      await browser.close()
    }
  } finally {
    await leave?.()
    await stand.close()
  }
}

/** Milliseconds from the navigation on, as the browser itself took them. */
async function paint(page: Page, url: string, shown: string): Promise<{ first: number; whole: number }> {
  await page.goto(url)
  const read = await page.evaluate(`new Promise((resolve) => {
    const look = () => {
      if (!document.querySelector(${JSON.stringify(shown)})) return requestAnimationFrame(look)
      requestAnimationFrame((at) => resolve([location.href, performance.getEntriesByName('first-contentful-paint')[0].startTime, at]))
    }
    look()
  })`)
  const [where, first, whole] = read as [string, number, number]
  if (where !== url) throw new Error(`this is ${where}, not ${url}`)
  return { first, whole }
}

/** Machines that beat as others do, and hear nothing: two hundred that did, each of all others, would keep this machine busy on their own. */
async function otherMachines({ mesh }: Stand): Promise<() => Promise<void>> {
  const { authority } = mesh
  const { meshKey, root } = authority
  const addresses = addressesOf(authority.mesh, meshKey)
  const transport = await mesh.connectAsAuthority()
  const told = await transport.bucket(addresses.directory)
  const bucket: Bucket = {
    put: (...args) => told.put(...args),
    swap: (...args) => told.swap(...args),
    get: (key) => told.get(key),
    delete: (...args) => told.delete(...args),
    purge: (...args) => told.purge(...args),
    watch: async () => ({ unsubscribe: () => undefined }),
  }
  const machines: Directory[] = []
  for (let n = 0; n < others; n += 1) {
    const self = beginIncarnation(enrol(authority, { name: `machine-${n}`, roles: ['worker'] }, Date.now()))
    const machine = new Directory({ bucket, addresses, meshKey, rootKey: root.publicKey, self, now: Date.now })
    await machine.start({ load: { cpu: n / others, memoryFree: 2 ** 30 } })
    machines.push(machine)
  }
  return async () => {
    for (const machine of machines) machine.leave()
    await transport.close()
  }
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
