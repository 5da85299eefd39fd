/** A program of its own, for a mount namespace of its own: launches an action that is granted the folder named, and says how that ended. */
import { ClawmeshError } from '../../policies/errors.js'
import { run } from './stage.js'

const [folder = ''] = process.argv.slice(2)
const yaml = `filesystem_policy: { read_only: [/usr, /bin, /lib, /lib64, ${JSON.stringify(folder)}] }`
const end = await run(yaml, folder, ['/bin/true']).then(
  ({ exitCode }) => `ended ${exitCode}`,
  (error: unknown) => `${ClawmeshError.from(error).code} ${ClawmeshError.from(error).message}`,
)
process.stdout.write(`${end}\n`)
