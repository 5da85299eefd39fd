/** `node host.js FOLDER`: a program whose model never ends an answer, to be killed. Prints the id of the model's process. */
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { sum } from '../../contract/backend.js'

const backend = await OnnxBackend.open({ folder: process.argv[2] ?? '' })
let told = false
for await (const _ of backend.generate({ ...sum, maxTokens: 900_000 })) {
  if (!told) process.stdout.write(`${await backend.pid()}\n`)
  told = true
}
