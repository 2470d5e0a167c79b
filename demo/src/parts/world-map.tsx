// The world on one sheet, coloured by the journey.
//
// It is a picture with a pointer's comfort: hovering names a country, a click opens it. With the keyboard, and for a
// screen reader, the list of countries says and does the same; 250 stops of the tab key here would help nobody.

import { useState } from 'preact/hooks'
import type { CountryShape } from '../data/countries'
import type { Mark } from '../data/documents'
import type { Marks } from '../data/filters'
import { go } from '../router'

/** Smaller than this on the sheet (units), a country gets a dot. */
const dotBelow = 7

const says: Record<Mark, string> = { been: 'been', want: 'want to go' }

export function WorldMap({ shapes, marks }: { shapes: CountryShape[] | undefined; marks: Marks }) {
  const [pointed, setPointed] = useState<string>()
  const codeAt = (event: Event) => (event.target as Element).getAttribute('data-code') ?? undefined
  const shape = shapes?.find(({ cca3 }) => cca3 === pointed)
  const mark = marks.get(pointed ?? '')
  const count = (kind: Mark) => [...marks.values()].filter((other) => other === kind).length
  return (
    <figure class="world">
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the list of countries does the same by keyboard */}
      <svg
        viewBox="90 0 1910 974"
        role="img"
        aria-label={`World map: been to ${count('been')} countries, want to go to ${count('want')}`}
        data-testid="world-map"
        onPointerOver={(event) => setPointed(codeAt(event))}
        onPointerLeave={() => setPointed(undefined)}
        onClick={(event) => {
          const code = codeAt(event)
          if (code) go(`#/country/${code}`)
        }}
      >
        {shapes?.map(({ cca3, atlas }) => (
          <path key={cca3} data-code={cca3} d={atlas.path} class={marks.get(cca3) ?? 'land'} />
        ))}
        {shapes
          ?.filter(({ atlas: { box } }) => Math.max(box.right - box.left, box.bottom - box.top) < dotBelow)
          .map(({ cca3, atlas: { box } }) => (
            <circle
              key={cca3}
              data-code={cca3}
              cx={(box.left + box.right) / 2}
              cy={(box.top + box.bottom) / 2}
              r={marks.has(cca3) ? 6 : 3}
              class={marks.get(cca3) ?? 'land'}
            />
          ))}
      </svg>
      <figcaption>
        {shape ? (
          <span class="pointed">
            {shape.name.common}
            {mark && `: ${says[mark]}`}
          </span>
        ) : (
          <>
            <span class="key been">Been</span>
            <span class="key want">Want to go</span>
          </>
        )}
      </figcaption>
    </figure>
  )
}
