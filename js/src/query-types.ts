// Queries as apps write them, and their answers.

import type { Abortable, Existing } from './types.js'

/** What a path is compared with: a value, or operators. */
export type Condition =
  | null
  | boolean
  | number
  | string
  | Condition[]
  | {
      $eq?: unknown
      $ne?: unknown
      $lt?: unknown
      $lte?: unknown
      $gt?: unknown
      $gte?: unknown
      $exists?: boolean
      $type?: 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object'
      $in?: unknown[]
      $nin?: unknown[]
      $all?: unknown[]
      $size?: number
      $mod?: [divisor: number, remainder: number]
      $regex?: string
      $beginsWith?: string
      $elemMatch?: Condition
      $allMatch?: Condition
      $keyMapMatch?: Condition
      $not?: Condition
      $and?: Condition[]
      $or?: Condition[]
      $nor?: Condition[]
      [path: string]: unknown
    }

/** A Mango selector: paths (`address.city`) with what is asked of them. */
export interface Selector {
  $and?: Selector[]
  $or?: Selector[]
  $nor?: Selector[]
  $not?: Selector
  [path: string]: Condition | Selector | Selector[] | undefined
}

export type Sort = (string | { [path: string]: 'asc' | 'desc' })[]

export interface FindQuery extends Abortable {
  selector: Selector
  /** The paths to answer with; all without it. */
  fields?: string[]
  /** Documents that lack a path of the sort are left out. Default: by `_id`. */
  sort?: Sort
  /** Default: no limit. */
  limit?: number
  skip?: number
  /** Of an earlier answer: goes on after its last document, whatever was written since. */
  bookmark?: string
}

export interface FindResult<Doc> {
  docs: Existing<Doc>[]
  bookmark: string
}

export interface DistinctOptions extends Abortable {
  /** Counts the documents that have each value, which reads all of the path's index. */
  counts?: boolean
}

export interface DistinctValue {
  value: unknown
  count: number
}

/** A path that documents have. */
export interface KnownPath {
  /** `[]` in it means the elements of an array: `tags.[]`. */
  path: string
  /** How many documents have a value of each type there. Of elements: how many different ones, document by document. */
  types: { [type in 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object']?: number }
}

export interface IndexDefinition {
  index: { fields: Sort }
  name?: string
  ddoc?: string
  type?: 'json'
}

export interface IndexList {
  total_rows: number
  indexes: { ddoc: string | null; name: string; type: string; def: { fields: { [path: string]: 'asc' | 'desc' }[] } }[]
}

/** A part of the index: the postings of a path within bounds, an intersection, a union, or documents named by id. */
export type IndexPart =
  | { path: string; bounds: { type?: string; from?: unknown; above?: unknown; to?: unknown; below?: unknown }[] }
  | { all: IndexPart[] }
  | { any: IndexPart[] }
  | { ids: string[] }

/** How a query is answered, and what that takes. */
export interface Explanation {
  /**
   * `index`: by the documents that `source` names; `id_order` and `sort_order`: by walking postings in the order of the
   * answer, and leaving once it is full; `id_range`: by reading the documents with ids in a range; `scan`: by reading all.
   */
  way: 'index' | 'id_order' | 'sort_order' | 'id_range' | 'scan'
  /** Where matches are found; `null` where the index does not narrow the search. */
  source: IndexPart | null
  /** Whether postings can decide that a document matches. */
  is_exact: boolean
  /** The path that is walked in order, of `sort_order`. */
  sort: { path: string; direction: 'asc' | 'desc' } | null
  postings_read: number
  documents_read: number
  results_returned: number
}
