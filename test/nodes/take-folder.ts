/** Takes the data folder named, says so or why not, and holds it until its standard input ends. */
import { openDataFolder } from '../../nodes/data-folder.js'
import { ClawmeshError } from '../../policies/errors.js'

process.stdout.write('ready\n')
process.stdin.once('data', () => {
  try {
    openDataFolder(process.argv[2] ?? '')
    process.stdout.write('taken\n')
  } catch (error) {
    process.stdout.write(`${ClawmeshError.from(error).code}\n`)
  }
})
process.stdin.once('end', () => process.exit())
