/** A person's own patterns, matched in linear time: the engine of the platform would hang on some of them. */
import { RE2JS } from 're2js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Detector } from './detectors.js'
import type { Found } from './reading.js'

export interface OwnPattern {
  readonly name: string
  /** In the syntax of RE2: no look-around, no back references. */
  readonly pattern: string
}

/** @throws ClawmeshError POLICY_INVALID for what RE2 does not take */
export function detectorOf({ name, pattern }: OwnPattern): Detector {
  const compiled = compile(name, pattern)
  return {
    name,
    find: ({ text }) => {
      const found: Found[] = []
      const matcher = compiled.matcher(text)
      while (matcher.find()) {
        const [start, end] = [matcher.start(), matcher.end()]
        if (end > start) found.push({ kind: 'custom', of: name, start, end })
      }
      return found
    },
  }
}

function compile(name: string, pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern)
  } catch (cause) {
    throw new ClawmeshError('POLICY_INVALID', `The pattern ${name} cannot be used: ${(cause as Error).message}.`, {
      hint: 'Patterns are written in the syntax of RE2: without look-around and back references.',
      cause,
    })
  }
}
