import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../mesh/installation.js'

/** What each room may import from, itself included. */
const allowed: Record<string, string[]> = {
  policies: ['policies'],
  mesh: ['policies', 'mesh'],
  sandbox: ['policies', 'mesh', 'sandbox'],
  router: ['policies', 'mesh', 'router'],
  inference: ['policies', 'mesh', 'inference'],
  nodes: ['policies', 'mesh', 'sandbox', 'router', 'inference', 'nodes'],
}

const importOf =
  /^\s*(?:import|export)\b[^'"]*from\s+['"](\.[^'"]+)['"]|^\s*import\s+['"](\.[^'"]+)['"]|import\(['"](\.[^'"]+)['"]\)/gm

function sources(room: string): string[] {
  return readdirSync(join(installation, room), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => join(room, path))
}

const importsOf = (file: string): string[] =>
  [...readFileSync(join(installation, file), 'utf8').matchAll(importOf)].map((match) =>
    normalize(join(dirname(file), match[1] ?? match[2] ?? match[3] ?? '')),
  )

describe('the house', () => {
  for (const [room, rooms] of Object.entries(allowed)) {
    it(`${room} imports from ${rooms.join(', ')} only`, () => {
      const strays = sources(room).flatMap((file) =>
        importsOf(file)
          .filter((target) => !rooms.includes(target.split('/')[0] ?? ''))
          .map((target) => `${file} imports ${target}`),
      )
      assert.deepEqual(strays, [])
    })
  }

  it('has no circles of imports that do work', () => {
    const graph = new Map(
      Object.keys(allowed)
        .flatMap(sources)
        .map((file) => [file, valueImportsOf(file)]),
    )
    const circles: string[] = []
    const walk = (file: string, path: string[]) => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      else for (const next of graph.get(file) ?? []) walk(next, [...path, file])
    }
    for (const file of graph.keys()) walk(file, [])
    assert.deepEqual([...new Set(circles)], [])
  })

  it('spells NATS subjects in one file only', () => {
    const spelled = sources('mesh')
      .concat(sources('nodes'))
      .filter((file) => /['"`]cm[.-]/.test(readFileSync(join(installation, file), 'utf8')))
    assert.deepEqual(spelled, [join('mesh', 'address.ts')])
  })

  it('reads the environment in one file only', () => {
    const readers = Object.keys(allowed)
      .flatMap(sources)
      .filter((file) => /process\.env\b/.test(readFileSync(join(installation, file), 'utf8')))
    assert.deepEqual(readers, [join('nodes', 'config.ts')])
  })
})

function valueImportsOf(file: string): string[] {
  const text = readFileSync(join(installation, file), 'utf8').replace(
    /^\s*(?:import|export) type [^;]*?from\s+['"][^'"]+['"]/gms,
    '',
  )
  return [...text.matchAll(importOf)].map((match) =>
    normalize(join(dirname(file), match[1] ?? match[2] ?? match[3] ?? '')).replace(/\.js$/, '.ts'),
  )
}
