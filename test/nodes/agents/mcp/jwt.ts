/** Signed statements (JWT, ES256) of peers that tests talk to. */
import { type KeyObject, sign, verify } from 'node:crypto'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

export function signed(key: KeyObject, claims: Record<string, unknown>, typ = 'JWT'): string {
  const text = `${part({ alg: 'ES256', typ })}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/** Its claims, where the key has signed it as of this type and it has not run out. */
export function verified(key: KeyObject, statement: string, typ = 'JWT'): Record<string, unknown> | undefined {
  const [header = '', payload = '', signature = ''] = statement.split('.')
  const parsed = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString() || '{}')
  const isGood = verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  if (!isGood || parsed(header).typ !== typ || parsed(payload).exp * 1000 < Date.now()) return undefined
  return parsed(payload)
}
