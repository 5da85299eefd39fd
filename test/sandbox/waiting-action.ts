/** A program of its own, to be killed: runs an action that waits at a file for a person who never answers, and says so once it does. */
import { parseProfile } from '../../policies/profile.js'
import { Opens } from '../../sandbox/opens/opens.js'
import { plan, programs, shell } from './stage.js'

const [workspace = '', mark = ''] = process.argv.slice(2)
const policy = `${programs}\nask: [{ read: / }]`
const { mounts } = await plan(policy, workspace, { program: '/bin/sh', args: [] })
const opens = new Opens({
  profile: parseProfile(policy),
  workspace,
  mounts,
  ask: () => {
    process.stdout.write('running\n')
    return new Promise(() => undefined)
  },
})
// Two processes with the mark in their command lines: one waits for the other, which waits in its call.
const { exitCode, stderr } = await shell(policy, workspace, `: ${mark}; sh -c ': ${mark}; read line < ../target'; :`, {
  opens,
})
process.stderr.write(`the action ended with status ${exitCode}: ${stderr}\n`)
