/** Texts that are made to keep a reader busy: one unit again and again. `npm run soak -- hostile` judges ten megabytes of each. */
import { classify } from '../../router/classify.js'
import { testSettings } from './score.js'

const units = {
  'one letter': 'a',
  digits: '4',
  'at signs': 'a@',
  'addresses without end': 'http://a)))))))))))',
  'numbers with separators': '0-1 2.3/',
  'quotation marks': '"a" + ',
  brackets: '[((',
  'percent signs': '%25',
  'nested entities': '&amp;',
  'runs between escapes': `&#${'0'.repeat(63)}1`,
  'begun private keys': '-----BEGIN PRIVATE KEY-----',
  'names of secrets': 'password = ',
  'rules of signs': `4${'-'.repeat(50)}${'_'.repeat(49)}101 `,
  lines: 'a1\n',
  lookalikes: 'а\u200b',
  colons: 'a:1::',
  'Base64 of Base64': Buffer.from('QUFB'.repeat(3)).toString('base64'),
  'German words of money with amounts': 'Saldo 1,00 Betrag 2,00 ',
}
export const hostileTexts = Object.keys(units) as (keyof typeof units)[]

export const megabyte = 1024 * 1024
const msForMegabyte = 6000

export function judgeHostile(name: keyof typeof units, length: number): { label: string; cpuMs: number } {
  const unit = units[name]
  const text = unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
  const begun = process.cpuUsage()
  const { label } = classify(text, testSettings)
  const { user, system } = process.cpuUsage(begun)
  return { label, cpuMs: (user + system) / 1000 }
}

export async function soakHostile(megabytes: number): Promise<boolean> {
  let clean = true
  for (const name of hostileTexts) {
    const { label, cpuMs } = judgeHostile(name, megabytes * megabyte)
    clean &&= label !== 'PUBLIC' && cpuMs < megabytes * msForMegabyte
    process.stdout.write(`${name}: ${label} after ${Math.round(cpuMs)} ms\n`)
  }
  return clean
}
