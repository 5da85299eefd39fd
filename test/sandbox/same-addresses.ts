/** A program of its own, run where every process gets the same addresses: of two scripts the one that is allowed connects first. Prints what they print. */
import { once } from 'node:events'
import { realpath, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { parseProfile } from '../../policies/profile.js'
import { Egress } from '../../sandbox/egress/egress.js'
import { launch } from '../../sandbox/launch.js'
import { newStage, plan } from './stage.js'

const { workspace } = await newStage('/var/tmp')
const server = createServer((socket) => socket.end('hello').on('error', () => undefined))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo
for (const name of ['good', 'evil'])
  await writeFile(
    join(workspace, `${name}.py`),
    `import socket\nprint('${name}', socket.create_connection(('127.0.0.1', ${port})).recv(9).decode())\n`,
  )
const policy = `filesystem_policy: { read_only: [., /usr, /bin, /lib, /lib64] }
network_policies:
  here:
    endpoints: [{ host: 127.0.0.1, port: ${port}, allowed_ips: [127.0.0.1] }]
    binaries: [{ path: "/usr/bin/python3*", script: "${workspace}/good.py" }]`
const program = await realpath('/bin/sh')
const egress = new Egress({
  profile: parseProfile(policy),
  workspace,
  own: { program, names: [] },
  resolve: async (host) => [host],
})
const args = ['-c', 'python3 good.py; python3 evil.py']
const { stdout } = await launch(await plan(policy, workspace, { program, args }), { egress })
process.stdout.write(stdout)
server.close()
