/**
 * A process that has providers asked, for tests that look into it from outside or end it: `STORE SEALING plain|confined QUESTION`. It asks once, prints the answer on one
 * line and what there is to know on the other stream, and stays until its input ends.
 */
import { confined } from '../../../nodes/keys/confined.js'
import { plainly } from '../../../router/egress/channel.js'
import { Holder } from '../../../router/egress/holder.js'
import { ProviderStore } from '../../../router/provider/store.js'
import { memoryMesh } from '../../kit/mesh.js'

const [path = '', sealing = '', way, question] = process.argv.slice(2)
const store = new ProviderStore(path, Buffer.from(sealing, 'hex'))
const progress = (text: string) => void process.stderr.write(`${text}\n`)
const start =
  way === 'confined'
    ? confined(await (await memoryMesh()).join('holder', { roles: ['authority'] }), {
        actor: 'elsewhere/holder',
        progress,
      })
    : plainly()
const holder = new Holder({ start, providers: store.read(), unsealing: store.unsealing })
const body = Buffer.from(JSON.stringify({ question }))
let text = ''
for await (const delta of holder.ask({ provider: 'cloud', model: 'large' }, body, new AbortController().signal))
  text += delta.text ?? ''
process.stdout.write(`${text}\n`)
process.stdin.resume().on('end', () => process.exit(0))
