/** What is wrong between this machine and its mesh: the way to the broker, the certificate, the clock, the port, the service. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Directory } from '../../mesh/directory.js'
import type { NodeInfo } from '../../mesh/index.js'
import { clockToleranceMs } from '../../mesh/seal/certificate.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { ClawmeshError } from '../../policies/errors.js'
import { unservedJudge } from '../agents/model/judge.js'
import { recallListen } from '../authority/address.js'
import { Register } from '../authority/register.js'
import { dataPaths, isRunning } from '../data-folder.js'
import { lookAtMesh } from '../member/onlooker.js'
import { driftOf, policyAdvertSchema } from '../process/standing-policy.js'
import { type Check, type Finding, fault, note, type Patient } from './check.js'

/** Two clocks that stand so far apart are on their way to where nothing is let in. */
const clockNoteMs = 5000
/** A node beats once a second; on a machine that is busy it may take a few. */
const lookMs = 8000

const isMesh = ({ data }: Patient) => existsSync(dataPaths(data).authority)
const runs = ({ data }: Patient): boolean => {
  try {
    return isRunning(data)
  } catch {
    return false
  }
}

/** The node of this folder, if it has one; of a mesh, the one that speaks for the authority. */
function memberIn(patient: Patient): { name: string; file: string } | undefined {
  if (!existsSync(patient.data)) return undefined
  const names = dataPaths(patient.data).nodes()
  const name = isMesh(patient) ? names.find((each) => each === 'operator') : names[0]
  const file = join(patient.data, 'nodes', name ?? '', 'credentials.json')
  return name !== undefined && existsSync(file) ? { name, file } : undefined
}

const port: Check = {
  name: 'port',
  well: 'The port of the broker is free, or the mesh has it.',
  ofMesh: true,
  look: async (patient) => {
    if (!isMesh(patient) || runs(patient)) return []
    const { host, port: wanted } = recallListen(dataPaths(patient.data).authority)
    const why = wanted === 0 ? undefined : await cannotListen(host, wanted)
    return why === undefined
      ? []
      : [
          fault(
            `Port ${wanted} at ${host} cannot be had: ${why}.`,
            'Nodes look for the broker where it was.',
            `See who has it (ss -ltnp 'sport = :${wanted}'), or choose another: \`clawmesh up --listen ${host}:PORT\`.`,
          ),
        ]
  },
}

const certificate: Check = {
  name: 'certificate',
  well: 'The certificate of this machine is good.',
  ofMesh: true,
  look: (patient) => {
    const member = memberIn(patient)
    if (!member) return []
    const { notBefore, notAfter, holder } = readCredentials(member.file, undefined).certificate
    if (
      isMesh(patient) &&
      new Register(dataPaths(patient.data).authority).revoked().some((gone) => gone.holder === holder)
    )
      return [
        fault(
          `Node "${member.name}" was revoked.`,
          'It is certified no more, whatever it does.',
          'Join again by a new invitation, in another data folder (--data DIR).',
        ),
      ]
    const now = patient.now()
    const until = new Date(notAfter).toISOString()
    if (now < notBefore - clockToleranceMs)
      return [
        fault(
          `The certificate of "${member.name}" begins in the future.`,
          'This clock is behind that of the authority.',
          'Set the clock (timedatectl set-ntp true).',
        ),
      ]
    // It is renewed at half of its time: one that is near its end was tried for in vain.
    if (now > notAfter)
      return [
        note(
          `The certificate of "${member.name}" ended at ${until}.`,
          'The next start asks for a new one before anything else.',
          'See that the authority runs then.',
        ),
      ]
    if (now > notAfter - (notAfter - notBefore) / 4)
      return [
        note(
          `The certificate of "${member.name}" ends at ${until}.`,
          runs(patient) ? 'It should have been renewed at half of its time.' : 'It is renewed when the node runs.',
          'See in its node.log why the authority does not answer.',
        ),
      ]
    return []
  },
}

const mesh: Check = {
  name: 'mesh',
  well: 'The broker can be reached, and the clocks agree.',
  ofMesh: true,
  look: async (patient) => {
    const member = memberIn(patient)
    if (!member || (isMesh(patient) && !runs(patient))) return []
    try {
      return await lookAtMesh(
        patient.data,
        async ({ directory }) => {
          const speaker = () => directory.nodes().find(({ roles }) => roles.includes('authority'))
          const found = await directory.wait(speaker, lookMs)
          return found
            ? [...clock(found.aheadMs), ...drift(directory, patient), ...judging(directory.nodes())]
            : [authorityAway]
        },
        patient.now,
      )
    } catch (error) {
      const { code, message, hint } = ClawmeshError.from(error)
      const why =
        code === 'DENIED' ? 'The mesh lets this machine in no more.' : 'Without the broker this machine is alone.'
      return [
        fault(
          message,
          why,
          code === 'DENIED'
            ? hint
            : 'See that the mesh runs (clawmesh up) where it was made, and that nothing between the two drops the connection.',
        ),
      ]
    }
  },
}

const authorityAway: Finding = fault(
  'The broker is there, and the authority is not to be seen.',
  'Nobody is certified, and no question is asked of people, until it is back.',
  'See that the mesh runs (clawmesh up) where it was made. If the clocks are far apart, each takes the other for gone: set them.',
)

/** Of the nodes of this folder: which do not go by the mesh's policy. */
function drift(directory: Directory, { data }: Patient): Finding[] {
  return dataPaths(data)
    .nodes()
    .flatMap((name) => {
      const said = policyAdvertSchema.safeParse(directory.node(name)?.advert['policy']).data
      const differs = said && driftOf(said, directory.policy)
      if (!differs) return []
      const why = said.refused?.why ?? 'The mesh has a policy that every node is meant to go by.'
      return [
        note(
          `Node "${name}" has ${differs}.`,
          why,
          'Start it with --policy mesh, or leave it as it was meant; see `clawmesh nodes`.',
        ),
      ]
    })
}

/** The rules that nodes go by are those that the node with the keys says. */
function judging(nodes: readonly NodeInfo[]): Finding[] {
  const judge = unservedJudge(nodes)
  return judge === undefined
    ? []
    : [
        note(
          `The router rules have ${judge} judge what leaves, and no node serves it.`,
          'What cannot be judged does not leave the mesh.',
          'Let a machine join that serves it, or name a model of `clawmesh nodes` in router.yaml (judge).',
        ),
      ]
}

function clock(aheadMs: number): Finding[] {
  const apart = Math.abs(aheadMs)
  const says = `This clock is ${(apart / 1000).toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of the authority.`
  const todo = 'Have both keep time by NTP (timedatectl set-ntp true).'
  if (apart >= clockToleranceMs)
    return [fault(says, `More than ${clockToleranceMs / 1000} s apart, nothing is let in.`, todo)]
  return apart >= clockNoteMs ? [note(says, `At ${clockToleranceMs / 1000} s nothing is let in any more.`, todo)] : []
}

const service: Check = {
  name: 'service',
  well: 'What the services of this machine start is there.',
  look: ({ config }) =>
    [join(config.configHome, 'systemd', 'user'), '/etc/systemd/system'].flatMap((folder) =>
      ['clawmesh', 'clawmesh-node'].flatMap((name) => {
        const file = join(folder, `${name}.service`)
        if (!existsSync(file)) return []
        const [, started = ''] = /^ExecStart=(.*)$/m.exec(readFileSync(file, 'utf8')) ?? []
        const programs = [...started.matchAll(/"([^"\\$%]*)"/g)].slice(0, 2).map(([, word = '']) => word)
        return programs
          .filter((program) => !existsSync(program))
          .map((program) =>
            fault(
              `${file} starts ${program}, which is not there.`,
              'The service does not come up again.',
              'Install it again: `clawmesh service install`.',
            ),
          )
      }),
    ),
}

export const membershipChecks: readonly Check[] = [port, certificate, mesh, service]

function cannotListen(host: string, wanted: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ message }) => resolve(message))
    server.listen(wanted, host, () => server.close(() => resolve(undefined)))
  })
}
