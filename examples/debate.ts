/** Five agents with the model that ships put a sum in five wordings, hear their neighbours and decide. After `npm run build`: node dist/examples/debate.js */
import {
  debate,
  debater,
  loadProfile,
  localMesh,
  OnnxBackend,
  serveModel,
  serveSandbox,
  shippedModelFolder,
} from 'clawmesh'

const mesh = await localMesh()
const backend = await OnnxBackend.open({ folder: shippedModelFolder })
await serveModel(mesh, backend)
await serveSandbox(mesh, { workspace: import.meta.dirname, profile: await loadProfile('none') })

const voters = ['Ada', 'Blaise', 'Carl', 'Dorothy', 'Emmy'].map((name) => ({ name, model: backend.model.name }))
for (const [phrasing, { name }] of voters.entries())
  await mesh.spawn(debater(mesh), { as: name, args: { thinks: 'arithmetic', phrasing } })

const question = 'How much is the sum of 7 and 19 divided by 4?'
const { outcome, votes, bill } = await debate(mesh, { question, voters, topology: 'ring', vote: 'weighted', seed: 1 })
for (const [index, round] of votes.entries())
  process.stdout.write(`round ${index + 1}: ${round.map(({ voter, answer }) => `${voter} ${answer}`).join(', ')}\n`)
process.stdout.write(`${outcome.answer ?? 'undecided'} (${outcome.reason}; ${bill.tokens} tokens)\n`)

await mesh.close()
await backend.dispose()
