// The app's logic, where it runs: loads the module, and says of each document what becomes of it.
//
// Documents come as JSON, and every function gets objects of its own: **what a function does to them changes nothing
// but what it returns**, and `validate` sees exactly what will be stored. What is thrown refuses the document.

import { jsonOf } from './encode.js'
import type { FirkinError } from './errors.js'
import type { Port } from './port.js'
import type { LogicContext, LogicModule } from './types.js'

/** What the engine's side says. */
export type ToRules = { type: 'load'; url: string; database: string } | { type: 'judge'; id: number; question: string }

/** What is answered. */
export type FromRules =
  | { type: 'loaded' }
  | { type: 'failed'; reason: string }
  | { type: 'judged'; id: number; answer: string }

/** What the engine asks: `old` is left out where there is none. */
interface Question {
  replicated: boolean
  documents: { new: Shown; old?: object }[]
  /** Places that branches changed differently, and the functions that decide on them. */
  merges?: { function: string; clash: { base?: unknown; ours?: unknown; theirs?: unknown } }[]
}

interface Shown {
  firkin?: { author?: unknown; time?: unknown }
}

type Verdict = null | { doc: string } | { [refusal in 'forbidden' | 'unauthorized' | 'faulty']?: string }

/** The modules that were handed in as such, for those who cannot import by URL: service workers. */
const handedIn = new Map<string, LogicModule>()

/** A URL under which the module is found again in this thread. */
export function handIn(module: LogicModule): string {
  const url = `firkin:logic-${handedIn.size}`
  handedIn.set(url, module)
  return url
}

/** Serves the engine's side at the other end of `line`. */
export function serveRules(line: Port<FromRules, ToRules>): void {
  let judge: (question: string) => Promise<string>
  line.receive = async (message) => {
    if (message.type === 'judge') {
      line.post({ type: 'judged', id: message.id, answer: await judge(message.question) })
    } else if (message.type === 'load') {
      try {
        const module = await load(message.url)
        judge = (question) => judgeAll(module, message.database, question)
        line.post({ type: 'loaded' })
      } catch (error) {
        line.post({ type: 'failed', reason: reasonOf(error) })
      }
    }
  }
}

async function load(url: string): Promise<LogicModule> {
  const module = handedIn.get(url) ?? ((await import(/* @vite-ignore */ /* webpackIgnore: true */ url)) as LogicModule)
  const names = ['validate', 'onWrite', 'merges'] as const
  if (!names.some((name) => name in module)) throw new Error('it exports none of validate, onWrite and merges')
  for (const name of ['validate', 'onWrite'] as const) {
    if (module[name] !== undefined && typeof module[name] !== 'function') throw new Error(`its ${name} is no function`)
  }
  return module
}

async function judgeAll(module: LogicModule, database: string, question: string): Promise<string> {
  const { replicated, documents, merges } = JSON.parse(question) as Question
  if (merges !== undefined) return mergeAll(module, merges)
  const verdicts: string[] = []
  for (const { new: shown, old = null } of documents) {
    verdicts.push(written(await judgeOne(module, contextOf(database, replicated, shown), shown, old)))
  }
  return `{"verdicts":[${verdicts.join()}]}`
}

async function mergeAll(module: LogicModule, merges: NonNullable<Question['merges']>): Promise<string> {
  const merged: string[] = []
  for (const { function: name, clash } of merges) {
    const decide = Object.hasOwn(module.merges ?? {}, name) ? module.merges?.[name] : undefined
    if (typeof decide !== 'function') return JSON.stringify({ failed: `it exports no function merges.${name}` })
    try {
      const value = await decide(clash.base, clash.ours, clash.theirs)
      merged.push(value === undefined ? '{}' : `{"value":${jsonOf(value)}}`)
    } catch (error) {
      return JSON.stringify({ failed: `merges.${name}: ${reasonOf(error)}` })
    }
  }
  return `{"merged":[${merged.join()}]}`
}

function contextOf(database: string, replicated: boolean, { firkin }: Shown): LogicContext {
  const { author, time } = typeof firkin === 'object' && firkin !== null ? firkin : {}
  const told = { ...(typeof author === 'string' ? { author } : {}), ...(typeof time === 'string' ? { time } : {}) }
  return Object.freeze({ database, replicated, ...told })
}

async function judgeOne(module: LogicModule, context: LogicContext, doc: object, old: object | null): Promise<Verdict> {
  const { validate, onWrite } = module
  try {
    let shaped: string | undefined
    if (onWrite !== undefined && !context.replicated) {
      const made: unknown = await onWrite(structuredClone(doc), structuredClone(old), context)
      if (made !== undefined) shaped = textOf(made)
    }
    await validate?.(shaped === undefined ? doc : JSON.parse(shaped), old, context)
    return shaped === undefined ? null : { doc: shaped }
  } catch (error) {
    return refusalOf(error)
  }
}

/** `onWrite` returned what cannot be stored. */
class Faulty extends Error {}

function textOf(made: unknown): string {
  if (typeof made !== 'object' || made === null || Array.isArray(made)) {
    throw new Faulty('onWrite returned something that is no document')
  }
  try {
    return jsonOf(made)
  } catch (error) {
    throw new Faulty(`what onWrite returned cannot be stored: ${(error as FirkinError).reason}`)
  }
}

function refusalOf(error: unknown): Verdict {
  if (error instanceof Faulty) return { faulty: error.message }
  const thrown = (typeof error === 'object' ? error : null) as { unauthorized?: unknown; forbidden?: unknown } | null
  if (thrown?.forbidden !== undefined) return { forbidden: reasonOf(thrown.forbidden) }
  if (thrown?.unauthorized !== undefined) return { unauthorized: reasonOf(thrown.unauthorized) }
  return { forbidden: reasonOf(error) }
}

function written(verdict: Verdict): string {
  return verdict !== null && 'doc' in verdict ? `{"doc":${verdict.doc}}` : JSON.stringify(verdict)
}

/** What was thrown, for people. An app may throw anything. */
function reasonOf(thrown: unknown): string {
  try {
    if (typeof thrown !== 'object' || thrown === null) return String(thrown)
    const { message } = thrown as { message?: unknown }
    return typeof message === 'string' ? message : JSON.stringify(thrown)
  } catch {
    return 'for a reason that cannot be told'
  }
}
