/**
 * What is said in a room, as it crosses the broker: one batch of posts of one publisher. Numbers are little-endian.
 *
 *     [version, 1 byte][room, 16][run of the publisher, 16][epoch, 4][first, 4][number, 4][deadline, 8]   the head
 *     [signature of the publisher over head and sealed, 64][sealed]
 *
 * `first` names the key: the number of the first batch under it. All of the head is associated data of what is sealed.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { fromHex, hex, type SigningKey, sign, verifies } from '../seal/keys.js'

export interface RoomFrameHead {
  readonly room: string
  /** Id of the run. */
  readonly publisher: string
  /** Of the list of members that it is sealed for. */
  readonly epoch: number
  readonly first: number
  /** Of the batch: a publisher numbers its batches one after the other, whatever the key. */
  readonly number: number
  /** Milliseconds since 1970; after it none of the posts counts. */
  readonly deadline: number
}

export interface RoomFrame extends RoomFrameHead {
  readonly head: Uint8Array
  readonly signature: Uint8Array
  readonly sealed: Uint8Array
}

const version = 1
const [roomAt, publisherAt, epochAt, firstAt, numberAt, deadlineAt, headLength] = [1, 17, 33, 37, 41, 45, 53]
const signatureLength = 64

/** `seal` is given the head, to bind what it seals to. */
export function writeRoomFrame(
  { room, publisher, epoch, first, number, deadline }: RoomFrameHead,
  seal: (head: Uint8Array) => Uint8Array,
  signing: SigningKey,
): Uint8Array {
  const head = new Uint8Array(headLength)
  const view = new DataView(head.buffer)
  head[0] = version
  head.set(fromHex(room), roomAt)
  head.set(fromHex(publisher), publisherAt)
  view.setUint32(epochAt, epoch, true)
  view.setUint32(firstAt, first, true)
  view.setUint32(numberAt, number, true)
  view.setFloat64(deadlineAt, deadline, true)
  const sealed = seal(head)
  // No Buffer: a slice of one shares its memory.
  return new Uint8Array(Buffer.concat([head, sign(context, Buffer.concat([head, sealed]), signing), sealed]))
}

/** Throws MESSAGE_INVALID for anything else. Nothing of it is proven yet. */
export function readRoomFrame(bytes: Uint8Array): RoomFrame {
  if (bytes[0] !== version || bytes.length <= headLength + signatureLength) throw noFrame()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [first, number] = [view.getUint32(firstAt, true), view.getUint32(numberAt, true)]
  if (first > number) throw noFrame()
  return {
    room: hex(bytes.subarray(roomAt, publisherAt)),
    publisher: hex(bytes.subarray(publisherAt, epochAt)),
    epoch: view.getUint32(epochAt, true),
    first,
    number,
    deadline: view.getFloat64(deadlineAt, true),
    head: bytes.subarray(0, headLength),
    signature: bytes.subarray(headLength, headLength + signatureLength),
    sealed: bytes.subarray(headLength + signatureLength),
  }
}

export const isSignedBy = ({ head, sealed, signature }: RoomFrame, publicKey: Uint8Array): boolean =>
  verifies(context, Buffer.concat([head, sealed]), signature, publicKey)

const context = 'room post'
const noFrame = () => new ClawmeshError('MESSAGE_INVALID', 'A message arrived that is no post of a room.')
