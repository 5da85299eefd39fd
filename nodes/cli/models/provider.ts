/** `clawmesh models provider …`: who may be asked outside the mesh of this data folder, with which key. Keys are typed or piped in, and shown to nobody. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openAuthority } from '../../../mesh/seal/authority.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { formNames } from '../../../router/provider/form.js'
import type { ProviderStore } from '../../../router/provider/store.js'
import { dataPaths } from '../../data-folder.js'
import { providerStore } from '../../elsewhere.js'
import { rulesOfMesh } from '../../router-rules.js'
import { type Command, type Option, text, type Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { readSecret } from '../secret.js'
import { progress } from '../terminal.js'

const shared: Record<'data' | 'json', Option> = { data: dataOption, json: jsonOption }

const usualUrls: Record<(typeof formNames)[number], string> = {
  openai: 'https://api.openai.com/v1',
  anthropic: 'https://api.anthropic.com/v1',
}

export const providerAdd: Command = {
  name: 'models provider add',
  usage: `NAME --form ${formNames.join('|')} --models MODEL[,MODEL…] [--url URL]`,
  help: 'Keeps the key of a provider of models, sealed, for a mesh to ask where its router rules allow it. The key is read from standard input.',
  options: {
    form: {
      type: 'string',
      value: 'FORM',
      help: 'how it is asked: openai (any server with chat completions), anthropic',
    },
    models: { type: 'string', value: 'LIST', help: 'its models that may be asked, by the names that it gives them' },
    url: {
      type: 'string',
      value: 'URL',
      help: 'up to and with the version (default: the address of the form’s maker)',
    },
    ...shared,
  },
  takes: 'NAME',
  run: async (given, values) => {
    const name = required(given)
    const form = formNames.find((each) => each === text(values, 'form'))
    const models = text(values, 'models')
      ?.split(',')
      .map((model) => model.trim())
    if (!form || !models) {
      throw new ClawmeshError('USAGE', `It is not said ${form ? 'which models it has' : 'how it is asked'}.`, {
        hint: `Give --form ${formNames.join(' or ')}, and --models with the names of its models.`,
      })
    }
    const store = storeOf(values)
    const key = await readSecret(`The key of ${name}`)
    store.add(name, { form, url: text(values, 'url') ?? usualUrls[form], key, models })
    const asked = models.map((model) => `${name}/${model}`)
    if (values['json']) print({ ok: true, name, models: asked })
    else for (const line of advice(asked, dataFolder(values))) progress(line)
    return 0
  },
}

export const providerList: Command = {
  name: 'models provider list',
  usage: '[--json]',
  help: 'Lists the providers of models outside the mesh, their models, and whether the router rules let anything go there. Shows no key.',
  options: shared,
  run: async (_, values) => {
    const { elsewhere } = rulesOfMesh(dataFolder(values)).rules
    const providers = [...storeOf(values).read()].map(([name, { form, url, models }]) => ({
      name,
      form,
      url,
      models: models.map((model) => ({ model: `${name}/${model}`, named: elsewhere.includes(`${name}/${model}`) })),
    }))
    if (values['json']) print({ ok: true, providers })
    else
      for (const { name, form, url, models } of providers) {
        process.stdout.write(`${name}  ${form}  ${url}\n`)
        for (const { model, named } of models)
          process.stdout.write(`  ${model}${named ? '' : '  never asked: the router rules do not name it'}\n`)
      }
    return 0
  },
}

export const providerRemove: Command = {
  name: 'models provider remove',
  usage: 'NAME',
  help: 'Forgets a provider and its key. A mesh that runs asks it until it is started again.',
  options: shared,
  takes: 'NAME',
  run: async (given, values) => {
    const name = required(given)
    storeOf(values).remove(name)
    if (values['json']) print({ ok: true, name })
    else progress(`The key of ${name} is forgotten here. A mesh that runs keeps it until it is started again.`)
    return 0
  },
}

function advice(models: readonly string[], data: string): string[] {
  const { elsewhere } = rulesOfMesh(data).rules
  const unnamed = models.filter((model) => !elsewhere.includes(model))
  return [
    `Kept, sealed, for ${models.join(', ')}. A mesh that runs takes it when it is started again.`,
    ...(unnamed.length > 0
      ? [
          `Nothing goes to ${unnamed.join(', ')} before the router rules name it: put it under elsewhere in ${join(data, 'router.yaml')}, a copy of policies/router.yaml.`,
        ]
      : []),
  ]
}

function storeOf(values: Values): ProviderStore {
  const data = dataFolder(values)
  const { authority } = dataPaths(data)
  // Opening one that is not there would make another mesh.
  if (existsSync(join(authority, 'authority.json'))) return providerStore(data, openAuthority(authority, Date.now()))
  throw new ClawmeshError('USAGE', `There is no mesh in ${data}, or its authority is kept elsewhere.`, {
    hint: 'Start one with `clawmesh up`, or name its data folder with --data.',
  })
}

function required(name: string | undefined): string {
  if (name !== undefined) return name
  throw new ClawmeshError('USAGE', 'No provider is named.', {
    hint: 'Give it a name of your own, for example: `clawmesh models provider add frontier …`',
  })
}

const print = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`)
