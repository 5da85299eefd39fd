/**
 * How soon the console is there, in a real browser on a real gateway: a trail of 20,000 events, which the gateway has read once, and the machines of the bench. As
 * many as 200 machines would keep this one busy with their beats alone, so what they cost the page is measured by its own modules, on data made here.
 */
import { rmSync } from 'node:fs'
import { Chromium, chromium } from '../test/kit/chromium.js'
import { temporaryFolder } from '../test/kit/mesh.js'
import { ask, openStand } from '../test/nodes/gateway/stand.js'
import type { Report } from './figure.js'

const events = 20_000
const machines = 200
const rounds = 9

export default async function bench(report: Report): Promise<void> {
  if (!chromium) throw new Error('there is no Chromium on this machine')
  const stand = await openStand({ rate: { burst: 10_000, perSecond: 10_000 } })
  const profile = temporaryFolder()
  try {
    const { front, keyOf, url } = stand
    for (let n = 0; n < events; n += 500)
      await Promise.all(
        Array.from({ length: 500 }, (_, at) => front.note('gateway.asked', { key: 'bench', n: n + at }, `t${at}`)),
      )
    await ask(url, '/v1/audit?limit=1', { key: keyOf.admin })
    const browser = await Chromium.open(profile)
    try {
      await browser.resize(1280)
      await browser.visit(url)
      await browser.holds("document.querySelector('input[type=password]')")
      await browser.run(`sessionStorage.setItem('clawmesh-key', ${JSON.stringify(keyOf.admin)})`)
      const views = { mesh: '.map .node', audit: '.audit tbody tr:nth-child(200)' }
      for (const [view, shown] of Object.entries(views)) {
        const times: { first: number; whole: number }[] = []
        for (let round = 0; round < rounds; round += 1)
          times.push(await paint(browser, `${url}/?${round}#${view}`, shown))
        for (const part of ['first', 'whole'] as const) {
          const value = median(times.map((each) => each[part]))
          const what = part === 'first' ? 'first contentful paint' : 'what it shows is there'
          report({
            metric: `${view}, trail of ${events} events: ${what}, median`,
            value,
            unit: 'ms',
            aim: '≤ 1000',
            ok: value <= 1000,
          })
        }
      }
      const value = Number(await browser.run(drawing))
      report({ metric: `map of ${machines} machines drawn, median`, value, unit: 'ms' })
    } finally {
      await browser.close()
    }
  } finally {
    await stand.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Milliseconds from the navigation on, as the browser itself took them. */
async function paint(browser: Chromium, url: string, shown: string): Promise<{ first: number; whole: number }> {
  await browser.visit(url)
  const read = await browser.run(`new Promise((resolve) => {
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

const drawing = `(async () => {
  const { drawMap } = await import('/console/map.js')
  const place = document.createElement('div')
  document.querySelector('main').replaceChildren(place)
  const nodes = Array.from({ length: ${machines} }, (_, n) => ({
    name: 'machine-' + n, roles: n === 0 ? ['authority'] : ['worker'], model: n % 3 === 0 ? 'model' : null, draining: false, load: { cpu: n / ${machines} },
  }))
  const times = []
  for (let round = 0; round < ${rounds}; round += 1) {
    const begun = performance.now()
    drawMap(place, nodes, 'machine-0', () => undefined)
    place.getBoundingClientRect()
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    times.push(performance.now() - begun)
  }
  return times.sort((a, b) => a - b)[${Math.floor(rounds / 2)}]
})()`

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
