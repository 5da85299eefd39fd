import { ClawmeshError } from '../../policies/errors.js'

const units = ['B', 'kB', 'MB', 'GB']

/** "2.5 GB". */
export function size(bytes: number): string {
  const unit = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return `${(bytes / 1000 ** unit).toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`
}

/** Bytes of "8GB", "500 MB". Throws USAGE. */
export function readSize(written: string, option: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kMG]?B)$/i.exec(written) ?? []
  const power = units.findIndex((each) => each.toLowerCase() === unit.toLowerCase())
  if (number !== undefined && power >= 0 && Number(number) > 0) return Number(number) * 1000 ** power
  throw new ClawmeshError('USAGE', `--${option} "${written}" is no size.`, { hint: `For example --${option} 8GB.` })
}
