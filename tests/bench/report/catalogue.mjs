// The workloads as the reports name and order them.

const count = (number) => number.toLocaleString('en')

/**
 * `each`: the figure is of one call, the mean of all; otherwise of the whole. `chart`: a row of the chart. `title(docs,
 * amount)` names it; `cpu` does in the tables of CPU time, or says that it has none of its own.
 */
export const workloads = [
  { name: 'bulk', title: (docs) => `bulk insert, all ${count(docs)}`, chart: 'Bulk insert' },
  { name: 'insert', each: true, title: () => 'one insert, relaxed', chart: 'One insert' },
  { name: 'insertStrict', each: true, title: () => 'one insert, strict' },
  { name: 'update', each: true, title: () => 'one update, relaxed', chart: 'One update' },
  { name: 'updateStrict', each: true, title: () => 'one update, strict' },
  { name: 'get', each: true, title: () => 'one get', chart: 'One get' },
  { name: 'findEqual', each: true, title: (docs) => `equality, ~${count(docs / 100)} hits`, chart: 'Find by equality' },
  { name: 'findRange', each: true, title: () => 'range, sorted, first 20', chart: 'Range, sorted, first 20' },
  { name: 'findUndeclared', each: true, title: () => 'a path not declared', chart: 'A path that no one declared' },
  { name: 'live', each: true, title: () => 'live query, an update shown', chart: 'Live query, an update shown' },
  {
    name: 'coldGet',
    title: () => 'cold start to first get',
    cpu: 'cold start as a whole',
    chart: 'Cold start to first get',
  },
  { name: 'coldFind', title: () => 'cold start to first find', cpu: false, chart: 'Cold start to first find' },
  { name: 'pull', title: (docs) => `first pull of ${count(Math.min(docs, 10_000))}`, chart: 'First pull' },
  { name: 'pullPlain', title: () => 'the same without its snapshot' },
  { name: 'copy', title: () => 'the bytes of that snapshot, stored as blocks' },
  { name: 'catchUp', title: (_, { catchUp }) => `catch-up of ${catchUp}`, chart: 'Catch-up of 100 changes' },
]

/** What is weighed, in bytes. */
export const weights = [
  { name: 'disk', title: 'on disk', of: ({ disk_bytes }) => disk_bytes },
  {
    name: 'coldPrivate',
    title: "memory of the page's process, after the first find",
    of: ({ memoryCold }) => memoryCold?.private_bytes,
  },
  {
    name: 'private',
    title: "memory of the page's process, after all reads",
    of: ({ memory }) => memory?.private_bytes,
  },
  { name: 'told', title: "of that JavaScript's heaps, page and workers", of: ({ memory }) => memory?.told_bytes },
  { name: 'peak', title: 'most resident during the bulk', of: ({ peak_bytes }) => peak_bytes },
  { name: 'shipped', title: 'to load, gzip', of: ({ shipped }) => shipped?.gzip_bytes },
]
