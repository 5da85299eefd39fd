/**
 * Families of keys, tokens and passwords, after the formats that their makers publish. A family is looked for only where one of its words stands; the
 * pattern then matches from that word on. Every repetition is bounded.
 */

export interface Family {
  readonly name: string
  readonly announcedBy: readonly string[]
  /** From the start of the announcing word; a group named `value` is the secret itself, else all of it is. Sticky. */
  readonly pattern: RegExp
  /** How much in bits for each character the value must surprise. */
  readonly entropy?: number
  /** Where the announcing word may stand; `left` unless said. */
  readonly bound?: 'left' | 'both' | 'none'
  /** Its values may be short, so that nothing but the word points at them. */
  readonly isShort?: boolean
}

/** A token that begins with its own mark. */
const marked = (name: string, marks: string, rest: RegExp, entropy?: number): Family => {
  const announcedBy = marks.split('|')
  const escaped = announcedBy.map((mark) => mark.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')
  const family = { name, announcedBy, pattern: new RegExp(`(?:${escaped})${rest.source}(?![A-Za-z0-9])`, 'y') }
  return entropy === undefined ? family : { ...family, entropy }
}

/** What may stand between a name and its value: `": "`, ` = `, ` is `, `>`. */
const link = `(?:["'],[ \\t]{0,4}["']|["'\`\\]]{0,2}[ \\t]{0,4}(?:=>|:=|[:=]|\\bis\\b|\\bist\\b|\\blautet\\b|>)[ \\t]{0,4}["'\`]{0,2})`

/** A token without a mark, told by the name of its service close before it. */
const named = (name: string, words: string, value: string, entropy = 3): Family => ({
  name,
  announcedBy: words.split('|'),
  pattern: new RegExp(`[A-Za-z0-9_.\\- ]{1,48}?${link}(?<value>${value})(?![A-Za-z0-9_-])`, 'y'),
  entropy,
  bound: 'none',
})

export const families: readonly Family[] = [
  // clouds
  marked('aws-access-key', 'AKIA|ASIA|ABIA|ACCA', /[A-Z0-9]{16}/),
  named(
    'aws-secret-key',
    'aws_secret|aws secret|secret_access_key|secretaccesskey|secret access key',
    '[A-Za-z0-9/+]{40}',
    4,
  ),
  named('aws-session-token', 'aws_session_token|sessiontoken', '[A-Za-z0-9/+=]{100,1200}', 4),
  marked('google-api-key', 'AIza', /[A-Za-z0-9_-]{35}/),
  marked('google-oauth-secret', 'GOCSPX-', /[A-Za-z0-9_-]{24,32}/),
  marked('google-oauth-token', 'ya29.', /[A-Za-z0-9_-]{20,400}/),
  named('azure-storage-key', 'accountkey|account_key', '[A-Za-z0-9+/]{86}==', 4),
  named(
    'azure-client-secret',
    'client_secret|clientsecret|azure_client',
    '[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}',
    3.5,
  ),
  named('azure-sas', 'sharedaccesskey|sharedaccesssignature', '[A-Za-z0-9+/]{43}=', 4),
  marked('alibaba-key', 'LTAI', /[A-Za-z0-9]{12,20}/, 3),
  marked('digitalocean-token', 'dop_v1_|doo_v1_|dor_v1_', /[a-f0-9]{64}/),
  named('cloudflare-key', 'cloudflare|cf_api|cf-api', '[A-Za-z0-9_-]{37,40}', 3.5),
  marked('flyio-token', 'fo1_|fm2_', /[A-Za-z0-9_+/=-]{40,400}/),
  named('heroku-key', 'heroku', '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 2.5),
  marked('heroku-token', 'HRKU-', /[A-Za-z0-9_-]{36,64}/),
  named('scaleway-key', 'scw_secret|scaleway', '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 2.5),
  marked('vault-token', 'hvs.|hvb.|hvr.', /[A-Za-z0-9_-]{24,200}/),
  marked('terraform-token', 'atlasv1.', /[A-Za-z0-9_=-]{60,80}/),
  marked('pulumi-token', 'pul-', /[a-f0-9]{40}/),
  marked('doppler-token', 'dp.pt.|dp.st.|dp.ct.|dp.sa.', /[A-Za-z0-9_.]{40,64}/),
  marked('databricks-token', 'dapi', /[a-f0-9]{32}(?:-\d)?/),
  marked('age-key', 'AGE-SECRET-KEY-1', /[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}/),
  // code
  marked('github-token', 'ghp_|gho_|ghu_|ghs_|ghr_', /[A-Za-z0-9]{36,255}/),
  marked('github-fine-grained', 'github_pat_', /[A-Za-z0-9_]{36,255}/),
  marked('gitlab-token', 'glpat-|gldt-|glrt-|glcbt-|glptt-|glft-|glsoat-|glimt-|glagent-', /[A-Za-z0-9_-]{20,64}/),
  named('bitbucket-secret', 'bitbucket', '[A-Za-z0-9_=-]{32,64}', 3.5),
  marked('atlassian-token', 'ATATT3|ATCTT3|ATBB', /[A-Za-z0-9_=-]{24,250}/),
  marked('npm-token', 'npm_', /[A-Za-z0-9]{36}/),
  named('npm-auth', '_authtoken', '[A-Za-z0-9_-]{20,64}', 3),
  marked('pypi-token', 'pypi-AgEIcHlwaS5vcmc|pypi-AgENdGVzdC5weXBpLm9yZw', /[A-Za-z0-9_-]{50,1000}/),
  marked('rubygems-key', 'rubygems_', /[a-f0-9]{48}/),
  marked('crates-token', 'cio', /[A-Za-z0-9]{32}/, 3.5),
  marked('dockerhub-token', 'dckr_pat_|dckr_oat_', /[A-Za-z0-9_-]{27,40}/),
  marked('clojars-token', 'CLOJARS_', /[a-z0-9]{60}/),
  marked('nuget-key', 'oy2', /[a-z0-9]{43}/, 3),
  marked('artifactory-key', 'AKCp', /[A-Za-z0-9]{64,80}/),
  named('sonar-token', 'sonar', '(?:squ_|sqp_|sqa_)?[a-f0-9]{40}', 3),
  marked('postman-key', 'PMAK-', /[a-f0-9]{24}-[a-f0-9]{34}/),
  marked('sentry-token', 'sntrys_|sntryu_', /[A-Za-z0-9_=+/]{40,400}/),
  marked('linear-key', 'lin_api_|lin_oauth_', /[A-Za-z0-9]{32,64}/),
  named('circleci-token', 'circleci|circle_token', '(?:CCIPAT_)?[A-Za-z0-9_]{40,80}', 3),
  named('travis-token', 'travis', '[A-Za-z0-9_-]{22}', 3.5),
  named('codecov-token', 'codecov', '[a-f0-9-]{32,36}', 3),
  // messages and mail
  marked('slack-token', 'xoxb-|xoxp-|xoxa-|xoxr-|xoxs-|xoxe-|xoxe.xoxp-', /[A-Za-z0-9-]{20,200}/),
  marked('slack-app-token', 'xapp-', /\d-[A-Z0-9]{8,16}-\d{8,16}-[a-f0-9]{32,80}/i),
  {
    name: 'slack-webhook',
    announcedBy: ['hooks.slack.com/'],
    pattern: /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9/_-]{30,90}/y,
  },
  {
    name: 'discord-webhook',
    announcedBy: ['discord.com/api/webhooks/', 'discordapp.com/api/webhooks/'],
    pattern: /discord(?:app)?\.com\/api\/webhooks\/\d{17,20}\/[A-Za-z0-9_-]{60,72}/y,
  },
  named('discord-token', 'discord', '[MNO][A-Za-z0-9_-]{23,27}\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27,40}', 3.5),
  {
    name: 'teams-webhook',
    announcedBy: ['webhook.office.com/'],
    pattern: /webhook\.office\.com\/webhookb2\/[a-z0-9@/-]{36,90}\/IncomingWebhook\/[a-z0-9]{32}\/[a-z0-9-]{36}/iy,
  },
  named('telegram-token', 'telegram|bot_token|bot token|tgram', '\\d{8,10}:AA[A-Za-z0-9_-]{33}', 3.5),
  {
    name: 'telegram-url',
    announcedBy: ['api.telegram.org/bot'],
    pattern: /api\.telegram\.org\/bot\d{8,10}:[A-Za-z0-9_-]{35}/y,
  },
  marked('sendgrid-key', 'SG.', /[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/),
  marked('mailgun-key', 'key-', /[a-f0-9]{32}/),
  marked('sendinblue-key', 'xkeysib-', /[a-f0-9]{64}-[A-Za-z0-9]{16}/),
  named('mailchimp-key', 'mailchimp', '[a-f0-9]{32}-us\\d{1,2}', 3),
  marked('twilio-key', 'SK|AC', /[a-f0-9]{32}/, 3),
  named('twilio-auth', 'twilio', '[a-f0-9]{32}', 3),
  marked('pusher-notion', 'secret_|ntn_', /[A-Za-z0-9]{43,50}/, 3.5),
  // money
  marked('stripe-key', 'sk_live_|sk_test_|rk_live_|rk_test_', /[A-Za-z0-9]{16,250}/),
  marked('stripe-webhook', 'whsec_', /[A-Za-z0-9+/=]{24,64}/),
  marked('square-token', 'sq0atp-|sq0csp-|EAAA', /[A-Za-z0-9_-]{22,64}/),
  named('paypal-braintree', 'braintree|paypal', '(?:access_token\\$production\\$)?[A-Za-z0-9$_-]{32,80}', 3.5),
  marked('shopify-token', 'shpat_|shpca_|shppa_|shpss_', /[a-f0-9]{32}/i),
  named('coinbase-key', 'coinbase', '[A-Za-z0-9_-]{32,64}', 3.5),
  // models
  marked('anthropic-key', 'sk-ant-', /[a-z]{2,8}\d{2}-[A-Za-z0-9_-]{60,120}/),
  marked('openai-key', 'sk-proj-|sk-svcacct-|sk-admin-', /[A-Za-z0-9_-]{40,200}/),
  {
    name: 'openai-legacy-key',
    announcedBy: ['sk-'],
    pattern: /sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|sk-[A-Za-z0-9]{48}(?![A-Za-z0-9])/y,
  },
  marked('openrouter-key', 'sk-or-v1-', /[a-f0-9]{64}/),
  marked('huggingface-token', 'hf_|api_org_', /[A-Za-z]{34}/),
  marked('nvidia-key', 'nvapi-', /[A-Za-z0-9_-]{60,80}/),
  marked('replicate-token', 'r8_', /[A-Za-z0-9]{37}/),
  marked('groq-key', 'gsk_', /[A-Za-z0-9]{52}/),
  marked('perplexity-key', 'pplx-', /[A-Za-z0-9]{40,56}/),
  named('cohere-mistral-key', 'cohere|mistral|deepseek', '[A-Za-z0-9]{32,40}', 3.5),
  // what runs
  marked('grafana-token', 'glsa_|glc_', /[A-Za-z0-9_+/=]{32,400}/),
  marked('newrelic-key', 'NRAK-|NRII-|NRJS-', /[A-Za-z0-9_-]{19,32}/),
  named('datadog-key', 'datadog|dd_api_key|dd_app_key', '[a-f0-9]{32,40}', 3),
  marked('dynatrace-token', 'dt0c01.|dt0s01.', /[A-Z0-9]{24}\.[A-Z0-9]{64}/),
  named('pagerduty-key', 'pagerduty', '[A-Za-z0-9_+-]{20,32}', 3),
  named('okta-token', 'okta', '00[A-Za-z0-9_-]{40}', 3.5),
  named('algolia-key', 'algolia', '[a-f0-9]{32}', 3),
  named('mapbox-token', 'mapbox', '[ps]k\\.eyJ[A-Za-z0-9_-]{40,120}\\.[A-Za-z0-9_-]{20,40}', 4),
  marked('planetscale', 'pscale_tkn_|pscale_pw_|pscale_oauth_', /[A-Za-z0-9_.=-]{32,64}/),
  marked('supabase', 'sbp_|sb_secret_', /[A-Za-z0-9_]{30,64}/),
  marked('airtable-token', 'pat', /[A-Za-z0-9]{14}\.[a-f0-9]{64}/),
  marked('figma-token', 'figd_', /[A-Za-z0-9_-]{38,64}/),
  marked('dropbox-token', 'sl.', /[A-Za-z0-9_-]{120,400}/),
  // any
  {
    name: 'private-key',
    announcedBy: ['-----begin '],
    pattern:
      /-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s:,.-]{0,8000}?-----END [A-Z0-9 ]{0,40}-----)?/y,
    bound: 'none',
  },
  {
    name: 'putty-key',
    announcedBy: ['putty-user-key-file-'],
    pattern: /PuTTY-User-Key-File-[23]: [a-z0-9-]{3,40}[\s\S]{0,200}/y,
  },
  {
    name: 'jwt',
    announcedBy: ['eyJ'],
    pattern: /eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{16,1000}/y,
  },
  {
    name: 'url-password',
    announcedBy: ['://'],
    pattern: /:\/\/[^\s:@/"'<>]{0,64}:(?<value>[^\s@/"'<>]{3,128})@[A-Za-z0-9[]/y,
    bound: 'none',
  },
  {
    name: 'authorization-header',
    announcedBy: ['authorization', 'bearer', 'proxy-authorization'],
    pattern:
      /(?:(?:proxy-)?authorization["']?\s{0,3}[:=]\s{0,3}["']?)?(?:bearer|basic|token)\s{1,3}(?<value>[A-Za-z0-9._~+/-]{16,2000}={0,2})/iy,
    entropy: 3,
  },
  {
    name: 'crypt-hash',
    announcedBy: ['$2a$', '$2b$', '$2y$', '$6$', '$5$', '$argon2id$', '$argon2i$'],
    pattern:
      /\$(?:2[aby]\$\d{2}\$[./A-Za-z0-9]{53}|[56]\$(?:rounds=\d{1,9}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43,86}|argon2id?\$[A-Za-z0-9+/=,$]{30,200})/y,
    bound: 'none',
  },
  {
    name: 'password',
    isShort: true,
    announcedBy: [
      'password',
      'passwort',
      'passwd',
      'kennwort',
      'passphrase',
      'pwd',
      'zugangsdaten',
      'secret',
      'api_key',
      'apikey',
      'api-key',
      'api key',
      'api-schlussel',
      'access_token',
      'access token',
      'auth_token',
      'auth token',
      'refresh_token',
      'client_secret',
      'client secret',
      'secret_key',
      'secret key',
      'private_key',
      'encryption_key',
      'signing_key',
      'master_key',
      'connection string',
      'token',
      'credential',
      'credentials',
      'geheimnis',
      'zugangscode',
    ],
    pattern: new RegExp(
      `(?:[A-Za-z0-9_.-]{1,40}(?: (?:key|token|for|fur|to|des|der|vom|von|[a-z]{2,14})){0,4})${link}(?<value>[^\\s"'\`<>,;]{6,256})`,
      'iy',
    ),
    entropy: 2.4,
    bound: 'none',
  },
  {
    name: 'pin',
    isShort: true,
    announcedBy: ['pin', 'pass', 'pw', 'tan', 'puk', 'otp', 'cvv', 'cvc'],
    pattern: new RegExp(`[A-Za-z]{2,4}(?:[- ]?(?:code|nummer|number))?${link}(?<value>[^\\s"'\`<>,;]{4,64})`, 'iy'),
    entropy: 1,
    bound: 'both',
  },
]
