// A country as a chip that leads to its page: flag, name, and a dot for its mark.

import type { CountryRow } from '../data/countries'
import type { Mark } from '../data/documents'
import { Flag } from './flag'

export function CountryLink({ country, mark }: { country: CountryRow; mark: Mark | undefined }) {
  return (
    <a class="chip" href={`#/country/${country.cca3}`}>
      <Flag svg={country.atlas.flag} width={27} />
      <span>{country.name.common}</span>
      {mark && <span class={`dot ${mark}`} role="img" aria-label={mark === 'been' ? 'been' : 'want to go'} />}
    </a>
  )
}
