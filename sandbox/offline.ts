/** How a Node process of ours is forked so that it reaches no network: those in which native code reads what people ask. */
import { type ForkOptions, spawnSync } from 'node:child_process'
import { launcherPath } from './launcher.js'

export type Runner = Required<Pick<ForkOptions, 'execPath' | 'execArgv'>>

let known: { runner: Runner | undefined } | undefined

/**
 * Undefined where this machine cannot: the launcher is not built, or nobody may make namespaces. Such a process does nothing with a network of its own accord; that the
 * kernel holds it to that is a second barrier.
 *
 *     fork(module, [], { ...offlineRunner(), env: {} })
 */
export function offlineRunner(): Runner | undefined {
  known ??= {
    runner:
      spawnSync(launcherPath, ['--offline', launcherPath, '--version'], { env: {} }).status === 0
        ? { execPath: launcherPath, execArgv: ['--offline', process.execPath] }
        : undefined,
  }
  return known.runner
}
