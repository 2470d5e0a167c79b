// One country: its mark, its facts, its neighbours and what was written about it.

import { countryOf, rowsOf } from '../data/countries'
import { type Country, type Visit, visitId } from '../data/documents'
import { addressOf } from '../data/filters'
import { allMarks, listNotes, setYear, visitOf } from '../data/journal'
import { Contested } from '../parts/contested'
import { CountryLink } from '../parts/country-link'
import { Facts } from '../parts/facts'
import { Flag } from '../parts/flag'
import { Icon } from '../parts/icon'
import { Locator } from '../parts/locator'
import { MarkButtons } from '../parts/mark-buttons'
import { NoteCard } from '../parts/note-card'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { attempt } from '../parts/toasts'
import { useAnswer } from '../use-answer'

export function CountryPage({ code }: { code: string }) {
  const { value, error } = useAnswer(async () => {
    const [country, visit] = await Promise.all([countryOf(code), visitOf(code)])
    return { country, visit }
  }, [code])
  if (error) return <Trouble error={error} />
  if (!value) {
    return (
      <Page title="Country">
        <Waiting rows={3} height={120} />
      </Page>
    )
  }
  const { country, visit } = value
  if (!country) {
    return (
      <Page title="No such country">
        <Empty sign="countries" title={`No country has the code ${code}`}>
          <a class="button" href="#/countries">
            All countries
          </a>
        </Empty>
      </Page>
    )
  }
  return (
    <Page
      title={country.name.common}
      class="country"
      heading={
        <>
          <Flag svg={country.atlas.flag} width={72} />
          <span>
            {country.name.common}
            {country.name.official !== country.name.common && <small>{country.name.official}</small>}
          </span>
        </>
      }
    >
      <div class="country-marks">
        <MarkButtons code={code} name={country.name.common} mark={visit?.mark} worded />
        {visit?.mark === 'been' && <YearField visit={visit} />}
        <a class="button plain" href={`#/note/new?country=${code}`} data-testid="write-note">
          <Icon sign="pen" /> Write a note
        </a>
      </div>
      <Contested id={visitId(code)} />
      <Notes country={country} />
      <div class="columns">
        <Facts country={country} />
        <div>
          <Locator country={country} />
          <Neighbours country={country} />
        </div>
      </div>
    </Page>
  )
}

function YearField({ visit }: { visit: Visit }) {
  const thisYear = new Date().getFullYear()
  return (
    <label class="year">
      <span>Last in</span>
      <input
        type="number"
        inputmode="numeric"
        min={1900}
        max={thisYear}
        placeholder="year"
        value={visit.year ?? ''}
        data-testid="year"
        onChange={(event) => {
          const field = event.currentTarget
          if (field.reportValidity())
            void attempt(() => setYear(visit, field.value === '' ? null : field.valueAsNumber))
        }}
      />
    </label>
  )
}

function Neighbours({ country }: { country: Country }) {
  const { value } = useAnswer(async () => {
    const [rows, marks] = await Promise.all([rowsOf(country.borders), allMarks()])
    return { rows, marks }
  }, [country._id])
  if (country.borders.length === 0) {
    return <p class="quiet">{country.name.common} borders on no other country.</p>
  }
  return (
    <section aria-labelledby="neighbours-title">
      <div class="section-head">
        <h2 id="neighbours-title">Neighbours</h2>
        <a href={addressOf({ borders: country.cca3 })}>As a list</a>
      </div>
      <ul class="chips" data-testid="neighbours">
        {value?.rows.map((row) => (
          <li key={row.cca3}>
            <CountryLink country={row} mark={value.marks.get(row.cca3)} />
          </li>
        ))}
      </ul>
    </section>
  )
}

/** Nothing where nothing was written: the way to write is above. */
function Notes({ country }: { country: Country }) {
  const { value } = useAnswer(() => listNotes({ country: country.cca3 }), [country._id])
  if (!value || value.length === 0) return null
  return (
    <section aria-labelledby="notes-title" class="notes">
      <h2 id="notes-title">Notes</h2>
      <div class="cards">
        {value.map((note) => (
          <NoteCard key={note._id} note={note} />
        ))}
      </div>
    </section>
  )
}
