// A country on the map of its surroundings: a part of the world's sheet, asked for by its box.

import { shapesWithin } from '../data/countries'
import type { Box, Country } from '../data/documents'
import { useAnswer } from '../use-answer'

/** Width to height of the picture. */
const ratio = 4 / 3
/** The narrowest part of the sheet that is shown, in units: an island alone in blue says little. */
const narrowest = 60

export function Locator({ country }: { country: Country }) {
  const part = surroundings(country.atlas.box)
  const { value } = useAnswer(() => shapesWithin(part), [country._id])
  const { box } = country.atlas
  const size = Math.max(box.right - box.left, box.bottom - box.top)
  const width = part.right - part.left
  return (
    <svg
      class="locator"
      viewBox={`${part.left} ${part.top} ${width} ${part.bottom - part.top}`}
      preserveAspectRatio="xMidYMid slice"
      role="img"
      aria-label={`Where ${country.name.common} lies`}
    >
      {value?.map(({ cca3, atlas }) => (
        <path key={cca3} d={atlas.path} class={cca3 === country.cca3 ? 'here' : 'land'} />
      ))}
      {size < width / 12 && (
        <circle class="ring" cx={(box.left + box.right) / 2} cy={(box.top + box.bottom) / 2} r={width / 18} />
      )}
    </svg>
  )
}

function surroundings(box: Box): Box {
  const [middleX, middleY] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2]
  const width = Math.max((box.right - box.left) * 1.5, (box.bottom - box.top) * 1.5 * ratio, narrowest)
  return {
    left: middleX - width / 2,
    right: middleX + width / 2,
    top: middleY - width / ratio / 2,
    bottom: middleY + width / ratio / 2,
  }
}
