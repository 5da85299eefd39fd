/** The tagger that the rules name, one process for all nodes and routers of this one; started when something may leave for the first time. */
import type { RouterRules } from '../policies/router.js'
import { shippedTagger, TaggerProcess } from '../router/tagger/process.js'
import { offlineRunner } from '../sandbox/offline.js'

const opened = new Map<string, TaggerProcess>()

export function taggerOf({ tagger }: RouterRules): TaggerProcess {
  const folder = tagger.folder ?? shippedTagger
  const known = opened.get(folder) ?? new TaggerProcess({ folder, runner: offlineRunner() })
  opened.set(folder, known)
  return known
}
