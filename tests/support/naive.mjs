// What a Mango query means, said a second time and as plainly as possible: a filter and a sort over an array.
//
// It shares no code with the library, and covers only what the tests ask. Strings are ordered by their UTF-8 bytes, types as
// null < false < true < numbers < strings < arrays < objects; a predicate on a path that a document lacks is false, except
// `$exists: false`; a document that lacks a path of the sort is left out.

const types = ['null', 'boolean', 'number', 'string', 'array', 'object']

const operators = {
  $eq: (value, wanted) => compare(value, wanted) === 0,
  $ne: (value, wanted) => compare(value, wanted) !== 0,
  $lt: (value, bound) => compare(value, bound) < 0,
  $lte: (value, bound) => compare(value, bound) <= 0,
  $gt: (value, bound) => compare(value, bound) > 0,
  $gte: (value, bound) => compare(value, bound) >= 0,
  $type: (value, wanted) => typeOf(value) === wanted,
  $in: (value, wanted) => wanted.some((one) => [value].flat().some((element) => compare(element, one) === 0)),
  $nin: (value, unwanted) => !operators.$in(value, unwanted),
  $all: (value, wanted) => Array.isArray(value) && wanted.every((one) => value.includes(one)),
  $size: (value, wanted) => Array.isArray(value) && value.length === wanted,
  $mod: (value, [divisor, remainder]) => Number.isInteger(value) && value % divisor === remainder,
  $beginsWith: (value, prefix) => typeof value === 'string' && value.startsWith(prefix),
  $regex: (value, pattern) => typeof value === 'string' && new RegExp(pattern).test(value),
  $allMatch: (value, condition) =>
    Array.isArray(value) && value.length > 0 && value.every((element) => holds(element, condition)),
  $keyMapMatch: (value, condition) =>
    typeOf(value) === 'object' && Object.keys(value).some((name) => holds(name, condition)),
  $elemMatch: (value, condition) => Array.isArray(value) && value.some((element) => holds(element, condition)),
}

/** The documents that answer the query, in its order. `documents` are in the order of their ids. */
export function naiveFind(documents, { selector, sort = [], skip = 0, limit = Number.POSITIVE_INFINITY, fields }) {
  const keys = sort.map((key) => Object.entries(key)[0])
  const lists = (doc) => keys.every(([path]) => lookUp(doc, path) !== undefined)
  const found = documents.filter((doc) => matches(doc, selector) && lists(doc))
  // Equal values are in the order of the ids, backwards if the first path is; the sort keeps that order.
  if (keys[0]?.[1] === 'desc') found.reverse()
  const places = new Map(found.map((doc) => [doc, keys.map(([path]) => lookUp(doc, path))]))
  found.sort((left, right) => comparePlaces(places.get(left), places.get(right), keys))
  const page = found.slice(skip, skip + limit)
  return fields === undefined ? page : page.map((doc) => project(doc, fields))
}

/** The different values at a path in order, each with the number of documents that have it; `elements` takes arrays apart. */
export function naiveDistinct(documents, path, elements = false) {
  const counts = new Map()
  for (const doc of documents) {
    const value = lookUp(doc, path)
    const values = elements && Array.isArray(value) ? value : elements || value === undefined ? [] : [value]
    for (const text of new Set(values.map((one) => JSON.stringify(one)))) counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  const rows = [...counts].map(([text, count]) => ({ value: JSON.parse(text), count }))
  return rows.sort((left, right) => compare(left.value, right.value))
}

/** How many values of each type stand at each path; those of arrays' elements under `[]`, in one document each but once. */
export function naivePaths(documents) {
  const paths = new Map()
  for (const doc of documents) {
    const seen = new Set()
    const visit = (path, value) => {
      const text = `${path} ${canonical(value)}`
      if (!seen.has(text)) {
        seen.add(text)
        const types = paths.get(path) ?? {}
        paths.set(path, { ...types, [typeOf(value)]: (types[typeOf(value)] ?? 0) + 1 })
      }
      if (Array.isArray(value)) for (const element of value) visit(`${path}.[]`, element)
      else if (typeOf(value) === 'object') members(`${path}.`, value)
    }
    const members = (prefix, object) => {
      for (const [name, value] of Object.entries(object)) visit(prefix + name.replaceAll('.', '\\.'), value)
    }
    const { _id, _rev, ...body } = doc
    members('', body)
  }
  return paths
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical)}]`
  if (typeOf(value) !== 'object') return JSON.stringify(value)
  const names = Object.keys(value).sort(compareStrings)
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)}}`
}

export function compareStrings(left, right) {
  if (left === right) return 0
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

function matches(doc, selector) {
  return Object.entries(selector).every(([name, asked]) => {
    if (name === '$and') return asked.every((part) => matches(doc, part))
    if (name === '$or') return asked.some((part) => matches(doc, part))
    if (name === '$nor') return !asked.some((part) => matches(doc, part))
    return holds(lookUp(doc, name), asked)
  })
}

function holds(value, condition) {
  if (typeOf(condition) !== 'object') return value !== undefined && operators.$eq(value, condition)
  return Object.entries(condition).every(([name, operand]) => {
    if (!name.startsWith('$')) return holds(lookUp(value, name), operand)
    if (name === '$exists') return (value !== undefined) === operand
    return value !== undefined && operators[name](value, operand)
  })
}

function lookUp(doc, path) {
  let value = doc
  for (const name of path.split(/(?<!\\)\./).map((part) => part.replaceAll('\\.', '.'))) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    if (Array.isArray(value) && !/^\d+$/.test(name)) return undefined
    value = value[name]
  }
  return value
}

function typeOf(value) {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function compare(left, right) {
  const type = typeOf(left)
  const order = types.indexOf(type) - types.indexOf(typeOf(right))
  if (order !== 0 || type === 'null') return order
  if (type === 'string') return compareStrings(left, right)
  if (type === 'array') return compareArrays(left, right)
  if (type === 'object') throw new Error('no test asks for the order of two objects')
  return Number(left) - Number(right)
}

function compareArrays(left, right) {
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const order = compare(left[index], right[index])
    if (order !== 0) return order
  }
  return left.length - right.length
}

function comparePlaces(left, right, keys) {
  for (const [index, [, direction]] of keys.entries()) {
    const order = compare(left[index], right[index])
    if (order !== 0) return direction === 'desc' ? -order : order
  }
  return 0
}

function project(doc, fields) {
  const projected = {}
  for (const path of fields) {
    const value = lookUp(doc, path)
    if (value === undefined) continue
    const names = path.split('.')
    const last = names.pop()
    let target = projected
    for (const name of names) {
      target[name] ??= {}
      target = target[name]
    }
    target[last] = value
  }
  return projected
}
