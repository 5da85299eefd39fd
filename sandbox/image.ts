/** What a process of an action began as, told before any of its own code ran. launcher/image.h is the other side, and says what an image is. */
export interface Image {
  /** In hex. Forks have their parent's until they execute something. */
  readonly name: string
  /** What was executed. */
  readonly program: string
  /** That it was started in. */
  readonly folder: string
  /** With the program's own name as the first. */
  readonly args: readonly string[]
  /** Names of the variables that had a value. */
  readonly variables: readonly string[]
}

const addressBytes = 8
const lengthBytes = 4

/** As it came from the worker; the name alone where it means nobody any more, or where what it began as is no text, which nobody could be shown. */
export function readImage(bytes: Buffer): Image | { readonly name: string } {
  const name = bytes.readBigUInt64LE(0).toString(16)
  if (bytes.length === addressBytes) return { name }
  const length = bytes.readUInt32LE(addressBytes)
  const text = bytes.subarray(addressBytes + lengthBytes)
  if (!text.equals(Buffer.from(text.toString()))) return { name }
  const [program = '', folder = '', ...args] = stringsOf(text.subarray(0, length))
  return { name, program, folder, args, variables: stringsOf(text.subarray(length)) }
}

/** Each closed by a NUL. */
const stringsOf = (bytes: Buffer): string[] => bytes.toString().split('\0').slice(0, -1)
