// What the browser says of the origin's storage. It never throws: where the browser lacks this, or denies it, it is unknown.

/** How much an origin stores. */
export interface StorageEstimate {
  /** How many bytes all that the origin stores takes, about; nothing where the browser does not tell. */
  usage?: number
  /** How many bytes it may take, about; nothing where the browser does not tell. */
  quota?: number
  /** Whether the browser has promised not to throw the data away by itself. */
  persisted: boolean
}

/** Asks the browser to keep the data; whether it will. */
export async function persist(): Promise<boolean> {
  return asked(() => navigator.storage.persist(), false)
}

export async function estimate(): Promise<StorageEstimate> {
  const { usage, quota } = await asked<StorageManagerEstimate>(() => navigator.storage.estimate(), {})
  const persisted = await asked(() => navigator.storage.persisted(), false)
  return { ...(usage === undefined ? {} : { usage }), ...(quota === undefined ? {} : { quota }), persisted }
}

type StorageManagerEstimate = Awaited<ReturnType<StorageManager['estimate']>>

/** The browser's answer; `unknown` where there is nobody to ask, or the question is refused. */
async function asked<Answer>(ask: () => Promise<Answer>, unknown: Answer): Promise<Answer> {
  try {
    return await ask()
  } catch {
    return unknown
  }
}
