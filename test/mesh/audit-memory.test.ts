/** What is found in the memory of a node that writes its audit chain: the key of the next record, and none of those before. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readChain } from '../../mesh/audit/chain.js'
import { readRecord } from '../../mesh/audit/record.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol, writeCredentials } from '../../mesh/seal/credentials.js'
import { sodium } from '../../mesh/seal/sodium.js'
import { temporaryFolder } from '../kit/mesh.js'

describe("a node's memory", { skip: process.platform === 'linux' ? false : 'read by way of /proc' }, () => {
  const folder = temporaryFolder()
  let child: ChildProcess | undefined
  after(() => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  for (const records of [1, 40])
    it(`holds the key of the next audit record and none of the ${records} that are written`, () => look(records))

  async function look(records: number): Promise<void> {
    const authority = createAuthority()
    const credentials = enrol(authority, { name: 'one', roles: ['worker'] }, Date.now())
    const [credentialsFile, chainFile] = [join(folder, 'credentials.json'), join(folder, `${records}.chain`)]
    writeCredentials(credentialsFile, credentials)
    const host = fileURLToPath(new URL('audit-memory-host.js', import.meta.url))
    child = spawn(process.execPath, [host, credentialsFile, chainFile, String(records)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    assert.ok(child.stdout)
    const [said] = (await once(child.stdout, 'data')) as [Buffer]
    assert.equal(said.toString(), 'written\n')

    const [first] = readChain(chainFile).records.map(readRecord)
    const key = first?.opening?.key
    assert.ok(key)
    const { publicKey, secretKey } = authority.auditor
    const { past, next } = keysFrom(Buffer.from(sodium.crypto_box_seal_open(key, publicKey, secretKey)), records)
    const memory = memoryOf(child.pid ?? 0)
    child.kill('SIGKILL')
    assert.ok(
      memory.some((region) => region.includes(next)),
      'the key of the next record was not found: this test does not see where keys are',
    )
    // Half a key is enough to see: whoever frees memory often writes over the beginning of it.
    const found = past.filter((secret) => memory.some((region) => region.includes(secret.subarray(16))))
    assert.equal(found.length, 0, `${found.length} of ${past.length} keys of the past were found`)
  }
})

/** By docs/audit.md: all that opens a record that was written, and what the next is opened by. */
function keysFrom(first: Buffer, records: number): { past: Buffer[]; next: Buffer } {
  const past: Buffer[] = []
  let next = first
  for (let number = 0; number < records; number += 1) {
    const key = next
    const derived = (block: number) =>
      createHmac('sha256', key)
        .update(Buffer.from([0, 0, 0, block]))
        .digest()
    past.push(key, derived(2))
    next = derived(1)
  }
  return { past, next }
}

/** All that the process can write to. */
function memoryOf(pid: number): Buffer[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1')
      .split('\n')
      .flatMap((line) => {
        const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
        if (from === '') return []
        const begin = Number.parseInt(from, 16)
        const region = Buffer.alloc(Number.parseInt(to, 16) - begin)
        const length = readSync(memory, region, 0, region.length, begin)
        return [region.subarray(0, length)]
      })
  } finally {
    closeSync(memory)
  }
}
