/** The property list by which launchd keeps a service running, on macOS. */
import { join } from 'node:path'
import type { ServicePlan } from './plan.js'

export const labelOf = (name: string): string => `io.clawmesh.${name}`

/** Where launchd puts what the command says: it keeps no journal. */
export const logOf = (data: string): string => join(data, 'service.log')

export function plistOf({ name, scope, account, command, environment, data }: ServicePlan): string {
  const entries: [string, string][] = [
    ['Label', text(labelOf(name))],
    ['ProgramArguments', array(command)],
    ['EnvironmentVariables', dictionary(Object.entries(environment).map(([key, value]) => [key, text(value)]))],
    ['RunAtLoad', '<true/>'],
    // Also after it ended in good order without having been told to.
    ['KeepAlive', '<true/>'],
    ['ThrottleInterval', '<integer>5</integer>'],
    ['ExitTimeOut', '<integer>60</integer>'],
    ['Umask', '<integer>63</integer>'],
    ['StandardOutPath', text(logOf(data))],
    ['StandardErrorPath', text(logOf(data))],
    ...(scope === 'system' ? [['UserName', text(account)] as [string, string]] : []),
  ]
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<plist version="1.0">${dictionary(entries)}</plist>`,
    '',
  ].join('\n')
}

const dictionary = (entries: [string, string][]): string =>
  `<dict>\n${entries.map(([key, value]) => `<key>${escaped(key)}</key>${value}\n`).join('')}</dict>`

const array = (values: readonly string[]): string =>
  `<array>\n${values.map((value) => `${text(value)}\n`).join('')}</array>`

const text = (value: string): string => `<string>${escaped(value)}</string>`

const escaped = (value: string): string =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
