import { meshContract } from '../contract/mesh.js'
import { memoryMesh, natsMesh } from '../kit/mesh.js'

meshContract('one process', memoryMesh)
meshContract('NATS', () => natsMesh())
