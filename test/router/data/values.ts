/** Invented values that are valid for their kind, and decoys that only look like one. Everything depends on the seed alone. */
import { seededRandom, wholeBelow } from '../../kit/random.js'

export class Values {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  below(limit: number): number {
    return wholeBelow(this.#random, limit)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  from(alphabet: string, length: number): string {
    return Array.from({ length }, () => alphabet[this.below(alphabet.length)]).join('')
  }

  digits(length: number): string {
    return this.from('0123456789', length)
  }

  make(name: string): string {
    const made = makers[name]
    if (!made) throw new RangeError(`There is no value named ${name}.`)
    return made(this)
  }
}

const lower = 'abcdefghijklmnopqrstuvwxyz'
const upper = lower.toUpperCase()
const alnum = `${lower}${upper}0123456789`
const hexits = '0123456789abcdef'

const firstNames =
  'anna,ben,carla,david,elif,farid,greta,hugo,ines,jonas,katrin,lars,mara,nils,olga,paul,rosa,samir,tilda,umut,vera,willem,yara,zeno'.split(
    ',',
  )
const lastNames =
  'becker,castillo,dietrich,eriksen,fontaine,gruber,hansen,ivanova,jansen,keller,lindqvist,moreau,novak,oconnor,petrov,quandt,richter,santos,thiele,ulrich,vogel,winkler,yilmaz,ziegler'.split(
    ',',
  )
const companies = 'nordwind,bluefield,kranich,silvertal,oakridge,morgenrot,pinemill,havelbau,cloudreef,steinweg'.split(
  ',',
)
const endings = ['com', 'org', 'net', 'de', 'at', 'ch', 'io', 'co.uk', 'eu', 'example']

export const makers: Record<string, (values: Values) => string> = {
  email: (v) => {
    const [first, last] = [v.pick(firstNames), v.pick(lastNames)]
    const local = v.pick([
      `${first}.${last}`,
      `${first[0]}${last}`,
      `${first}_${v.digits(2)}`,
      `${first}+${v.pick(['news', 'shop'])}`,
      last,
    ])
    return `${local}@${v.pick(['', 'mail.'])}${v.pick(companies)}.${v.pick(endings)}`
  },
  url: (v) => {
    const host = `${v.pick(companies)}.${v.pick(endings)}`
    const path = `/${v.pick(['docs', 'shop', 'a/b', 'news/2024'])}/${v.from(lower, 6)}${v.pick(['', `?id=${v.digits(4)}`, '#top', `?q=${v.from(lower, 4)}&p=2`])}`
    return v.pick([
      `https://${host}${path}`,
      `http://${host}`,
      `https://www.${host}/`,
      `www.${host}${path}`,
      `${host.replace('.example', '.com')}${path}`,
    ])
  },
  iban: (v) => grouped(v, ibanOf(v)),
  card: (v) => cardOf(v),
  ssn: (v) => ssnOf(v, '-'),
  ssnPlain: (v) => ssnOf(v, v.pick(['', ' ', '-'])),
  ip: (v) =>
    v.pick([
      () => `${1 + v.below(223)}.${v.below(256)}.${v.below(256)}.${v.below(256)}`,
      () => `2001:db8:${hex(v)}:${hex(v)}::${hex(v)}`,
      () => `fe80::${hex(v)}:${hex(v)}`,
      () => Array.from({ length: 8 }, () => hex(v)).join(':'),
      () => '::1',
      () => `2a02:8${v.digits(2)}::1`,
    ])(),
  phone: (v) => phoneOf(v),
  date: (v) => dateOf(v),
  // decoys
  version: (v) => `${v.below(20)}.${v.below(30)}.${v.below(40)}`,
  order: (v) => `${v.pick(['A', 'PO-', 'R-', ''])}${v.digits(v.pick([8, 10, 12]))}`,
  hash: (v) => v.from(hexits, v.pick([8, 40, 64])),
  amount: (v) => `${v.below(900) + 1}${v.pick(['.', ','])}${v.digits(2)}`,
  time: (v) => `${String(v.below(24)).padStart(2, '0')}:${String(v.below(60)).padStart(2, '0')}`,
  year: (v) => String(1990 + v.below(40)),
  count: (v) => String(v.below(100_000)),
  handle: (v) => `@${v.pick(firstNames)}`,
  uuid: (v) => [8, 4, 4, 4, 12].map((length) => v.from(hexits, length)).join('-'),
  badCard: (v) => breakLast(cardOf(v, '')),
  badIban: (v) => breakLast(ibanOf(v)),
  person: (v) => `${capital(v.pick(firstNames))} ${capital(v.pick(lastNames))}`,
  company: (v) => `${capital(v.pick(companies))} GmbH`,
  file: (v) => `${v.from(lower, 6)}-${v.digits(3)}.${v.pick(['pdf', 'csv', 'txt'])}`,
}

const hex = (v: Values): string => v.from('123456789abcdef', 1) + v.from(hexits, 3)
const capital = (word: string): string => word[0]?.toUpperCase() + word.slice(1)

/** Another last digit. */
const breakLast = (text: string): string => `${text.slice(0, -1)}${(Number(text.at(-1)) + 1) % 10}`

const ibanShapes: Record<string, (v: Values) => string> = {
  DE: (v) => v.digits(18),
  AT: (v) => v.digits(16),
  CH: (v) => v.digits(17),
  GB: (v) => v.from(upper, 4) + v.digits(14),
  NL: (v) => v.pick(['ABNA', 'INGB', 'RABO']) + v.digits(10),
  ES: (v) => v.digits(20),
  PL: (v) => v.digits(24),
}

export function ibanOf(v: Values, country = v.pick(['DE', 'DE', 'DE', 'AT', 'CH', 'GB', 'NL', 'PL'])): string {
  // Some countries check the account number too; German accounts are taken as they are.
  const body = ibanShapes[country]?.(v) ?? ''
  const spelled = [...`${body}${country}00`].map((letter) => Number.parseInt(letter, 36)).join('')
  return `${country}${String(98n - (BigInt(spelled) % 97n)).padStart(2, '0')}${body}`
}

const grouped = (v: Values, iban: string): string => (v.below(2) === 0 ? iban : (iban.match(/.{1,4}/g) ?? []).join(' '))

export function cardOf(v: Values, separator = v.pick(['', ' ', '-'])): string {
  const [prefix, length] = v.pick([
    ['4', 16],
    ['4', 16],
    ['51', 16],
    ['55', 16],
    ['2221', 16],
    ['34', 15],
    ['37', 15],
    ['6011', 16],
  ] as const)
  const body = prefix + v.digits(length - prefix.length - 1)
  const sum = [...body].reverse().reduce((total, digit, at) => {
    const twice = Number(digit) * (at % 2 === 0 ? 2 : 1)
    return total + (twice > 9 ? twice - 9 : twice)
  }, 0)
  const digits = body + ((10 - (sum % 10)) % 10)
  const groups = length === 15 ? /(\d{4})(\d{6})(\d{5})/ : /(\d{4})(\d{4})(\d{4})(\d{4})/
  return digits.replace(groups, (_, ...parts: string[]) => parts.slice(0, length === 15 ? 3 : 4).join(separator))
}

function ssnOf(v: Values, separator: string): string {
  const area = v.pick([1 + v.below(665), 667 + v.below(233)])
  return [
    String(area).padStart(3, '0'),
    String(1 + v.below(99)).padStart(2, '0'),
    String(1 + v.below(9999)).padStart(4, '0'),
  ].join(separator)
}

function phoneOf(v: Values): string {
  const line = `${2 + v.below(8)}${v.digits(6)}`
  const mobile = v.pick(['151', '160', '170', '171', '172', '175', '176'])
  const area = v.pick(['212', '415', '312', '206', '617', '303'])
  const exchange = `${2 + v.below(8)}${v.below(9)}${2 + v.below(7)}`
  const last = v.digits(4)
  return v.pick([
    `+49 30 ${line}`,
    `+49 (0)89 ${line}`,
    `0049 40 ${line}`,
    `030 ${line}`,
    `089/${line}`,
    `+49 ${mobile} ${line}`,
    `0${mobile} ${line}`,
    `0${mobile}-${line}`,
    `0${mobile}${line}`,
    `+1 ${area} ${exchange} ${last}`,
    `(${area}) ${exchange}-${last}`,
    `${area}-${exchange}-${last}`,
    `${area}.${exchange}.${last}`,
    `+44 20 7946 0${v.digits(3)}`,
    `+41 44 ${2 + v.below(7)}${v.digits(2)} ${v.digits(2)} ${v.digits(2)}`,
  ])
}

const english = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const german = [
  'Januar',
  'Februar',
  'März',
  'April',
  'Mai',
  'Juni',
  'Juli',
  'August',
  'September',
  'Oktober',
  'November',
  'Dezember',
]

function dateOf(v: Values): string {
  const [day, month, year] = [1 + v.below(28), 1 + v.below(12), 1930 + v.below(100)]
  const [dd, mm] = [String(day).padStart(2, '0'), String(month).padStart(2, '0')]
  return v.pick([
    `${year}-${mm}-${dd}`,
    `${dd}.${mm}.${year}`,
    `${day}.${month}.${year}`,
    `${mm}/${dd}/${year}`,
    `${day} ${english[month - 1]} ${year}`,
    `${english[month - 1]} ${day}, ${year}`,
    `${day}. ${german[month - 1]} ${year}`,
    `${dd}-${english[month - 1]?.slice(0, 3)}-${year}`,
    `${dd}.${mm}.${String(year).slice(2)}`,
  ])
}

/** One token of each family, as its maker shapes it. None of them was ever issued. */
export const secretMakers: Record<string, (v: Values) => string> = {
  'aws-access-key': (v) => `AKIA${v.from(`${upper}234567`, 16)}`,
  'aws-secret-key': (v) => `aws_secret_access_key = ${v.from(`${alnum}/+`, 40)}`,
  'google-api-key': (v) => `AIza${v.from(`${alnum}_-`, 34)}${v.from(alnum, 1)}`,
  'google-oauth-secret': (v) => `GOCSPX-${v.from(alnum, 28)}`,
  'azure-storage-key': (v) =>
    `AccountName=data;AccountKey=${v.from(`${alnum}+/`, 86)}==;EndpointSuffix=core.windows.net`,
  'azure-client-secret': (v) => `client_secret: "${v.from(alnum, 3)}8Q~${v.from(`${alnum}_~.-`, 33)}a"`,
  'digitalocean-token': (v) => `dop_v1_${v.from(hexits, 64)}`,
  'vault-token': (v) => `hvs.${v.from(alnum, 90)}`,
  'databricks-token': (v) => `dapi${v.from(hexits, 32)}`,
  'github-token': (v) => `${v.pick(['ghp_', 'gho_', 'ghs_'])}${v.from(alnum, 36)}`,
  'github-fine-grained': (v) => `github_pat_${v.from(alnum, 22)}_${v.from(alnum, 59)}`,
  'gitlab-token': (v) => `glpat-${v.from(`${alnum}_`, 19)}${v.from(alnum, 1)}`,
  'npm-token': (v) => `npm_${v.from(alnum, 36)}`,
  'pypi-token': (v) => `pypi-AgEIcHlwaS5vcmc${v.from(alnum, 120)}`,
  'rubygems-key': (v) => `rubygems_${v.from(hexits, 48)}`,
  'dockerhub-token': (v) => `dckr_pat_${v.from(alnum, 27)}`,
  'atlassian-token': (v) => `ATATT3${v.from(alnum, 60)}`,
  'postman-key': (v) => `PMAK-${v.from(hexits, 24)}-${v.from(hexits, 34)}`,
  'linear-key': (v) => `lin_api_${v.from(alnum, 40)}`,
  'sentry-token': (v) => `sntrys_${v.from(alnum, 80)}`,
  'slack-token': (v) => `xoxb-${v.digits(12)}-${v.digits(12)}-${v.from(alnum, 24)}`,
  'slack-webhook': (v) =>
    `https://hooks.slack.com/services/T${v.from(upper, 8)}/B${v.from(upper, 8)}/${v.from(alnum, 24)}`,
  'discord-webhook': (v) => `https://discord.com/api/webhooks/${v.digits(18)}/${v.from(alnum, 68)}`,
  'telegram-token': (v) => `TELEGRAM_TOKEN=${v.digits(10)}:AA${v.from(alnum, 33)}`,
  'sendgrid-key': (v) => `SG.${v.from(alnum, 22)}.${v.from(alnum, 43)}`,
  'mailgun-key': (v) => `key-${v.from(hexits, 32)}`,
  'mailchimp-key': (v) => `mailchimp_api_key: ${v.from(hexits, 32)}-us${v.below(20) + 1}`,
  'twilio-key': (v) => `SK${v.from(hexits, 32)}`,
  'stripe-key': (v) => `${v.pick(['sk_live_', 'rk_live_', 'sk_test_'])}${v.from(alnum, 24)}`,
  'stripe-webhook': (v) => `whsec_${v.from(alnum, 32)}`,
  'shopify-token': (v) => `shpat_${v.from(hexits, 32)}`,
  'anthropic-key': (v) => `sk-ant-api03-${v.from(`${alnum}_`, 92)}${v.from(alnum, 1)}AA`,
  'openai-key': (v) => `sk-proj-${v.from(alnum, 60)}`,
  'openai-legacy-key': (v) => `sk-${v.from(alnum, 48)}`,
  'huggingface-token': (v) => `hf_${v.from(lower + upper, 34)}`,
  'nvidia-key': (v) => `nvapi-${v.from(alnum, 64)}`,
  'groq-key': (v) => `gsk_${v.from(alnum, 52)}`,
  'grafana-token': (v) => `glsa_${v.from(alnum, 32)}_${v.from(hexits, 8)}`,
  'newrelic-key': (v) => `NRAK-${v.from(upper, 27)}`,
  'datadog-key': (v) => `DD_API_KEY=${v.from(hexits, 32)}`,
  'heroku-key': (v) => `HEROKU_API_KEY=${makers['uuid']?.(v)}`,
  'figma-token': (v) => `figd_${v.from(alnum, 40)}`,
  'age-key': (v) => `AGE-SECRET-KEY-1${v.from('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}`,
  'private-key': (v) =>
    `-----BEGIN RSA PRIVATE KEY-----\n${v.from(alnum, 64)}\n${v.from(alnum, 64)}\n-----END RSA PRIVATE KEY-----`,
  jwt: (v) => `eyJhbGciOiJIUzI1NiJ9.eyJ${v.from(alnum, 60)}.${v.from(alnum, 43)}`,
  'url-password': (v) => `postgres://app:${v.from(alnum, 12)}@db.internal:5432/main`,
  'authorization-header': (v) => `Authorization: Bearer ${v.from(alnum, 40)}`,
  'crypt-hash': (v) => `$2b$12$${v.from(`${alnum}./`, 53)}`,
  password: (v) =>
    `${v.pick(['password', 'Passwort', 'DB_PASSWORD', 'kennwort'])}${v.pick([': ', '=', ' = ', ' ist '])}${v.from(lower, 5)}${v.digits(3)}${v.pick(['!', '#', 'X'])}`,
}
