// The world map's geometry: longitude and latitude in, the outline of one country as SVG path data out.
//
// Every country is drawn on one sheet (Equal Earth, which keeps areas true), so one outline serves the whole map and,
// with a smaller view box, the map on a country's own page. A line is thinned with Douglas and Peucker's method; the
// tolerance shrinks with the country, so that Malta keeps its bays and Canada does not weigh a megabyte.
// It must never move a country: what is thinned loses points, the points that stay are where they were.

export const sheet = { width: 2000, height: 974 }

const [a1, a2, a3, a4] = [1.340264, -0.081106, 0.000893, 0.003796]
const radians = Math.PI / 180
const widest = (2 * Math.PI) / (Math.sqrt(3) * a1)
const scale = sheet.width / (2 * widest)

/** Equal Earth (Šavrič, Patterson and Jenny, 2018): degrees to the sheet's units, y downwards. */
export function project([longitude, latitude]) {
  const theta = Math.asin((Math.sqrt(3) / 2) * Math.sin(latitude * radians))
  const square = theta * theta
  const sixth = square * square * square
  const slope = 9 * a4 * sixth * square + 7 * a3 * sixth + 3 * a2 * square + a1
  const x = (2 * longitude * radians * Math.cos(theta)) / (Math.sqrt(3) * slope)
  const y = theta * (a4 * sixth * square + a3 * sixth + a2 * square + a1)
  return [sheet.width / 2 + x * scale, sheet.height / 2 - y * scale]
}

/** A place without an outline (the package has none for Kosovo): no path, and an empty box where it lies. */
export function place([latitude, longitude]) {
  const [x, y] = project([longitude, latitude])
  return { path: '', box: rounded({ left: x, top: y, right: x, bottom: y }) }
}

/** The outline of a GeoJSON geometry, and the box of its main land on the sheet. */
export function outline(geometry) {
  const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates
  const lands = polygons
    .map((rings) => rings.map((ring) => ring.map(project)))
    .map((rings) => ({ rings, box: boxOf(rings[0]), area: Math.abs(areaOf(rings[0])) }))
    .sort((one, other) => other.area - one.area)
  const box = mainBox(lands)
  const size = Math.max(box.right - box.left, box.bottom - box.top)
  const tolerance = Math.min(0.22, Math.max(0.004, size / 250))
  const digits = tolerance < 0.05 ? 3 : tolerance < 0.2 ? 2 : 1
  const path = lands
    .filter((land, place) => place === 0 || land.area > tolerance * tolerance * 4)
    .flatMap((land) => land.rings)
    .map((ring) => draw(thin(ring, tolerance), digits))
    .join('')
  return { path, box: rounded(box) }
}

/** The box of the largest land and of what lies near it: Russia's without the far side of the date line. */
function mainBox(lands) {
  const [largest, ...others] = lands
  const box = { ...largest.box }
  const reach = Math.max(box.right - box.left, box.bottom - box.top) / 2
  for (const { box: other, area } of others) {
    const near =
      other.left - box.right < reach &&
      box.left - other.right < reach &&
      other.top - box.bottom < reach &&
      box.top - other.bottom < reach
    if (near && area > largest.area / 5000) widen(box, other)
  }
  return box
}

function widen(box, other) {
  box.left = Math.min(box.left, other.left)
  box.top = Math.min(box.top, other.top)
  box.right = Math.max(box.right, other.right)
  box.bottom = Math.max(box.bottom, other.bottom)
}

function boxOf(ring) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity }
  for (const [x, y] of ring) widen(box, { left: x, top: y, right: x, bottom: y })
  return box
}

function areaOf(ring) {
  let sum = 0
  for (let place = 1; place < ring.length; place += 1) {
    sum += ring[place - 1][0] * ring[place][1] - ring[place][0] * ring[place - 1][1]
  }
  return sum / 2
}

function thin(points, tolerance) {
  const kept = new Uint8Array(points.length)
  kept[0] = kept[points.length - 1] = 1
  const spans = [[0, points.length - 1]]
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to] = span
    let farthest = -1
    let distance = tolerance
    for (let place = from + 1; place < to; place += 1) {
      const away = distanceFrom(points[place], points[from], points[to])
      if (away > distance) [farthest, distance] = [place, away]
    }
    if (farthest < 0) continue
    kept[farthest] = 1
    spans.push([from, farthest], [farthest, to])
  }
  return points.filter((_, place) => kept[place])
}

function distanceFrom([x, y], [fromX, fromY], [toX, toY]) {
  const [alongX, alongY] = [toX - fromX, toY - fromY]
  const length = alongX * alongX + alongY * alongY
  const part = length === 0 ? 0 : ((x - fromX) * alongX + (y - fromY) * alongY) / length
  const nearest = Math.min(1, Math.max(0, part))
  return Math.hypot(x - fromX - nearest * alongX, y - fromY - nearest * alongY)
}

/** Relative commands, rounded from absolute places so that no error adds up along the line. */
function draw(points, digits) {
  const unit = 10 ** digits
  let [x, y] = points[0].map((value) => Math.round(value * unit))
  let steps = ''
  for (const point of points.slice(1, -1)) {
    const [nextX, nextY] = point.map((value) => Math.round(value * unit))
    if (nextX === x && nextY === y) continue
    steps += `${steps === '' ? 'l' : ' '}${short((nextX - x) / unit)}${signed(short((nextY - y) / unit))}`
    ;[x, y] = [nextX, nextY]
  }
  const [startX, startY] = points[0].map((value) => Math.round(value * unit) / unit)
  return steps === '' ? '' : `M${startX} ${startY}${steps}z`
}

function short(value) {
  return String(Number(value.toFixed(3))).replace(/^(-?)0\./, '$1.')
}

function signed(text) {
  return text.startsWith('-') ? text : ` ${text}`
}

function rounded(box) {
  return Object.fromEntries(Object.entries(box).map(([side, value]) => [side, Math.round(value * 100) / 100]))
}
