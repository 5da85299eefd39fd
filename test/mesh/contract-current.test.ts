import { it } from 'node:test'
import { meshContract } from '../contract/mesh.js'
import { currentBroker } from '../kit/current-broker.js'
import { natsMesh } from '../kit/mesh.js'

const broker = await currentBroker()
if (typeof broker === 'string') it('a mesh over a current NATS', { skip: broker }, () => undefined)
else meshContract(`NATS ${broker.version}`, () => natsMesh(broker))
