/** How long a machine that lost its power takes to serve again: every process killed, the unit's own command started in the same data folder. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ApiKeys } from '../nodes/gateway/http/keys.js'
import { freePort } from '../test/kit/free-port.js'
import { temporaryFolder } from '../test/kit/mesh.js'
import { firstServed, Served, toldByUnit, unitFor } from '../test/nodes/service/served.js'
import type { Report } from './figure.js'

const reboots = 5

export default async function bench(report: Report): Promise<void> {
  const folder = temporaryFolder()
  const [data, workspace] = [join(folder, 'data'), join(folder, 'workspace')]
  mkdirSync(workspace)
  const port = await freePort()
  const unit = unitFor('up', { data, gateway: String(port), workspace, model: 'shipped', name: 'home' })
  let served = new Served(toldByUnit(unit))
  try {
    await served.heard(/The mesh is up/)
    const key = new ApiKeys(data).add('bench', 'developer', Date.now())
    const times: number[] = []
    const work: number[] = []
    for (let n = 0; n < reboots; n += 1) {
      await served.killAll()
      served = new Served(toldByUnit(unit))
      times.push(await firstServed(`http://127.0.0.1:${port}`, key))
      work.push(served.processorSeconds)
    }
    times.sort((a, b) => a - b)
    const [median = 0, worst = 0] = [times[Math.floor(reboots / 2)], times.at(-1)]
    for (const [name, value] of [
      ['median', median],
      ['worst', worst],
    ] as const)
      report({
        metric: `restart of everything to first request served, ${name} of ${reboots}`,
        value: value / 1000,
        unit: 's',
        aim: '≤ 5',
        ok: value <= 5000,
      })
    // The same on a machine that is busy with other work, where the time by the clock is that work's.
    work.sort((a, b) => a - b)
    report({
      metric: 'processor time of all its processes by then, median',
      value: work[Math.floor(reboots / 2)] ?? 0,
      unit: 's',
    })
  } finally {
    await served.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
