// Which build this is, and what it understands of other builds in other tabs.

/** The version of the package. */
export const VERSION: string = '0.1.0'

/**
 * The version of what tabs say to each other, and of what they may expect of a leader. Members of one protocol work together,
 * whatever their versions are. In all protocols the notices `whoLeads` and `leads` say `version` and `protocol`.
 */
export const PROTOCOL: number = 1

/** Another build. */
export interface Build {
  version: string
  protocol: number
}

/** What this build says of itself. */
export const BUILD: Build = { version: VERSION, protocol: PROTOCOL }

/** The newer builds that a member meets in other tabs, each of which is told once. */
export class NewerBuilds {
  readonly #met = new Set<string>()
  readonly #tell: (version: string) => void

  constructor(tell: (version: string) => void) {
    this.#tell = tell
  }

  /** Whether a build that was met understands this one no more, and takes its place. */
  meet(other: Build): boolean {
    if (!isNewer(other)) return false
    if (!this.#met.has(other.version)) {
      this.#met.add(other.version)
      this.#tell(other.version)
    }
    return other.protocol !== PROTOCOL
  }
}

/** Whether `other` is newer than this build. */
function isNewer(other: Build): boolean {
  if (other.protocol !== PROTOCOL) return other.protocol > PROTOCOL
  const [theirs, own] = [other.version, VERSION].map(numbersOf) as [number[], number[]]
  const place = theirs.findIndex((number, index) => number !== (own[index] ?? 0))
  return place >= 0 && (theirs[place] ?? 0) > (own[place] ?? 0)
}

/** Of `1.2.3-beta.4` these are 1, 2 and 3. */
function numbersOf(version: string): number[] {
  return (version.split(/[-+]/)[0] ?? '').split('.').map(Number)
}
