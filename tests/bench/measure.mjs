// One database, measured once from its first byte on: three browser processes over fresh profiles.
//
// The first stores (bulk, single inserts), the second begins cold over what the first left, reads and edits, the third
// replicates. Every answer is compared with what the documents say, after the clock has stopped.

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Browser } from './browser.mjs'
import { idOf } from './documents.mjs'
import { compare, Expected } from './expected.mjs'
import { stampWorkers } from './stamps.mjs'
import { storedBytes } from './storage.mjs'

const database = 'measured'
/** Documents that one call of `bulk` gets. */
const bulkDocuments = 10_000
/** What is done before anything is timed, with a database of its own, alike for all. */
const warmUp = { docs: 200, inserts: 20, gets: 50, finds: 5 }

export class Measurement {
  /** By workload: `{ wall_ms, count, cpu }`, parts of one workload added up. */
  workloads = {}
  calibrations = []
  #adapter
  #around
  #plan
  #bound_ms
  #expected = new Expected()
  #browser

  /**
   * `around` is what all share: `{ site, profiles, server, plan, docs, pace, progress }`; `progress(text)` is told what has been
   * done.
   */
  constructor(adapter, around) {
    this.#adapter = adapter
    this.#around = around
    this.#plan = around.plan
    this.#bound_ms = 180_000 * Math.max(1, around.docs / 10_000)
  }

  async run() {
    await this.#inProfile(async (profile) => {
      await this.#inBrowser(profile, () => this.#store())
      this.disk_bytes = await storedBytes(profile, this.#around.site.origin)
      await this.#inBrowser(profile, () => this.#use())
    })
    if (this.canPull) await this.#inProfile((profile) => this.#inBrowser(profile, () => this.#replicate()))
    return this
  }

  async #store() {
    const { bulk, insert } = this.#plan
    await this.#calibrate()
    this.#around.site.loaded()
    const { about } = await this.#open({ fresh: '' })
    this.about = about
    await this.#warmUp()
    await this.#tell('open', [database, { durability: 'relaxed', fresh: true }])
    this.canPull = ((await this.#can('pull')) || (await this.#can('copy'))) && this.#around.server !== undefined
    for (let start = 0; start < bulk.end; start += bulkDocuments) {
      const part = { start, end: Math.min(bulk.end, start + bulkDocuments) }
      await this.#work('bulk', 'bulk', part, part.end - start)
      this.#expected.add(range(part))
    }
    this.peak_bytes = await this.#browser.peakMemory()
    await this.#work('insert', 'insert', insert, insert.numbers.length)
    this.#expected.add(insert.numbers)
    this.loaded = this.#around.site.loaded()
    await this.#tell('close', [])
  }

  async #warmUp() {
    const { docs, inserts, gets, finds } = warmUp
    await this.#tell('open', ['warm-up', { durability: 'relaxed', fresh: true }])
    await this.#untimed('bulk', { start: 0, end: docs })
    await this.#untimed('insert', { numbers: range({ start: docs, end: docs + inserts }) })
    await this.#untimed('get', { numbers: range({ start: 0, end: gets }) })
    const shelves = this.#plan.findEqual[0].shelves.slice(0, finds)
    if (await this.#can('findEqual')) await this.#untimed('findEqual', { shelves })
    await this.#tell('destroy', [])
  }

  async #use() {
    await this.#coldStart()
    this.memoryCold = await this.#browser.memory(this.#bound_ms)
    const { get, findEqual, findRange, findUndeclared, update, live, strictInsert, strictUpdate } = this.#plan
    const expected = this.#expected
    await this.#ask('get', get, () => get.numbers.map(expected.get))
    await this.#ask('findEqual', findEqual[0], () => findEqual[0].shelves.map(expected.findEqual))
    await this.#work('update', 'update', update, update.edits.length)
    expected.change(update.edits)
    await this.#ask('findEqual', findEqual[1], () => findEqual[1].shelves.map(expected.findEqual))
    await this.#ask('findRange', findRange, () => findRange.ranges.map(expected.findRange), { ordered: true })
    await this.#ask('findUndeclared', findUndeclared, () => findUndeclared.codes.map(expected.findUndeclared))
    if (await this.#can('live')) {
      const { answers } = await this.#work('live', 'live', live, live.edits.length)
      expected.change(live.edits)
      compare('live', answers, [expected.first(live.limit)], { ordered: true })
    }
    this.memory = await this.#browser.memory(this.#bound_ms)
    await this.#split()
    if (this.about.strict !== undefined) {
      await this.#tell('close', [])
      await this.#tell('open', [database, { durability: 'strict', fresh: false }])
      await this.#work('insertStrict', 'insert', strictInsert, strictInsert.numbers.length)
      expected.add(strictInsert.numbers)
      await this.#work('updateStrict', 'update', strictUpdate, strictUpdate.edits.length)
      expected.change(strictUpdate.edits)
    }
    // What was written singly is read back: the inserts of the first process, the edits, what was written strictly.
    const numbers = [...this.#plan.insert.numbers, ...update.edits.map(({ number }) => number)]
    if (this.about.strict !== undefined)
      numbers.push(...strictInsert.numbers, ...strictUpdate.edits.map(({ number }) => number))
    const { answers } = await this.#untimed('get', { numbers })
    compare('what was written', answers, numbers.map(expected.get))
    await this.#tell('close', [])
    await this.#calibrate()
  }

  async #coldStart() {
    const { number, shelf } = this.#plan.cold
    const { cold, cpu } = await this.#open({ name: database, id: idOf(number), shelf })
    const [got, found] = cold.answers
    compare('first get', [got], [this.#expected.get(number)])
    if (found != null) compare('first find', [found], [this.#expected.findEqual(shelf)])
    // From the page's first script on: what the browser needs until then is nobody's merit. CPU time is counted for the start
    // as a whole.
    const { first_ms, loaded_ms, opened_ms, get_ms, find_ms } = cold.times
    this.cold = { browser_ms: first_ms, loading_ms: loaded_ms - first_ms, opening_ms: opened_ms - loaded_ms }
    this.#keep('coldGet', { wall_ms: get_ms - first_ms, count: 1, cpu })
    if (find_ms !== undefined) this.#keep('coldFind', { wall_ms: find_ms - first_ms, count: 1, cpu })
  }

  /** The same calls once more, with the worker's messages stamped: what of a call is the page's, and what the engine's. */
  async #split() {
    const stamps = await stampWorkers(this.#browser.workers)
    if (stamps === undefined) return
    const { get, findEqual, findRange, updateAgain } = this.#plan
    this.split = {}
    for (const [name, parameters] of Object.entries({
      get,
      findEqual: findEqual[0],
      findRange,
      update: updateAgain,
    })) {
      if (!(await this.#can(name))) continue
      await stamps.reset()
      const { wall_ms } = await this.#untimed(name, parameters)
      const { engine_ms, calls } = await stamps.read()
      this.split[name] = { wall_ms, engine_ms, count: countOf(parameters), calls }
    }
    this.#expected.change(updateAgain.edits)
  }

  async #replicate() {
    const { pull, catchUp } = this.#plan
    const remote = await this.#around.server.create(pull.docs)
    const expected = new Expected()
    expected.add(range({ start: 0, end: pull.docs }))
    await this.#open({})
    await this.#warmUp()
    if (await this.#can('copy')) await this.#inAnother(() => this.#work('copy', 'copy', { url: remote.url }, pull.docs))
    if (!(await this.#can('pull'))) return
    if (await this.#can('pullPlain')) {
      await this.#inAnother(async () => {
        const asked = { url: remote.url, shelf: pull.shelf }
        const { answers } = await this.#work('pullPlain', 'pullPlain', asked, pull.docs)
        compare('plain pull', answers, [expected.findEqual(pull.shelf)])
      })
    }
    await this.#tell('open', [database, { durability: 'relaxed', fresh: true }])
    const first = await this.#work('pull', 'pull', { url: remote.url, shelf: pull.shelf }, pull.docs)
    compare('first pull', first.answers, [expected.findEqual(pull.shelf)])
    await remote.edit(catchUp.edits)
    expected.change(catchUp.edits)
    const second = await this.#work('catchUp', 'pull', { url: remote.url, shelf: pull.shelf }, catchUp.edits.length)
    compare('catch-up', second.answers, [expected.findEqual(pull.shelf)])
    const numbers = [
      ...catchUp.edits.map(({ number }) => number),
      ...range({ start: 0, end: Math.min(100, pull.docs) }),
    ]
    const { answers } = await this.#untimed('get', { numbers })
    compare('what was pulled', answers, numbers.map(expected.get))
    await this.#tell('close', [])
  }

  /** In a database of its own, which is gone afterwards. */
  async #inAnother(work) {
    await this.#tell('open', ['another', { durability: 'relaxed', fresh: true }])
    await work()
    await this.#tell('destroy', [])
  }

  async #ask(name, parameters, answers, options) {
    if (!(await this.#can(name))) return
    const expected = answers()
    const result = await this.#work(name, name, parameters, expected.length)
    compare(name, result.answers, expected, options)
  }

  /** `count` is of how many calls the figure is the sum. */
  async #work(name, workload, parameters, count) {
    const result = await this.#browser.run(workload, parameters, this.#bound_ms)
    this.#keep(name, { ...result, count })
    return result
  }

  #keep(name, { wall_ms, count, cpu }) {
    const kept = this.workloads[name]
    this.workloads[name] = {
      wall_ms: wall_ms + (kept?.wall_ms ?? 0),
      count: count + (kept?.count ?? 0),
      cpu: Object.fromEntries(Object.entries(cpu).map(([part, ms]) => [part, ms + (kept?.cpu[part] ?? 0)])),
    }
    this.#around.progress(`${name} ${Math.round(wall_ms).toLocaleString('en')} ms`)
  }

  #untimed(workload, parameters) {
    return this.#browser.run(workload, parameters, this.#bound_ms)
  }

  #open(parameters) {
    return this.#browser.open({ adapter: this.#adapter, durability: 'relaxed', ...parameters }, this.#bound_ms)
  }

  #tell(name, parameters) {
    return this.#browser.tell(name, parameters, this.#bound_ms)
  }

  #can(name) {
    return this.#browser.can(name)
  }

  async #calibrate() {
    this.calibrations.push(await this.#browser.calibrate(this.#bound_ms))
  }

  async #inProfile(work) {
    const profile = await mkdtemp(join(this.#around.profiles, `${this.#adapter}-`))
    try {
      return await work(profile)
    } finally {
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    }
  }

  async #inBrowser(profile, work) {
    this.#browser = await Browser.start(profile, this.#around.site, this.#around.pace)
    try {
      return await work()
    } finally {
      await this.#browser.close()
    }
  }
}

/** Of a workload's parameters: of how many calls they are. */
const countOf = ({ numbers, shelves, ranges, edits }) => (numbers ?? shelves ?? ranges ?? edits).length

const range = ({ start, end }) => Array.from({ length: end - start }, (_, index) => start + index)
