import { roomContract } from '../../contract/room.js'
import { memoryMesh, natsMesh } from '../../kit/mesh.js'

roomContract('one process', memoryMesh)
roomContract('NATS', () => natsMesh())
