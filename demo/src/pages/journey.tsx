// The first page: how far the journey has come.

import { allShapes, type Overview, overviewOf, rowsOf } from '../data/countries'
import { addressOf } from '../data/filters'
import { allMarks, listNotes } from '../data/journal'
import { CountryLink } from '../parts/country-link'
import { Icon } from '../parts/icon'
import { NoteCard } from '../parts/note-card'
import { Page } from '../parts/page'
import { Empty, Trouble } from '../parts/states'
import { WorldMap } from '../parts/world-map'
import { useAnswer } from '../use-answer'

const latestNotes = 3
const wishesShown = 12

const askJourney = async () => {
  const marks = await allMarks()
  return { marks, overview: await overviewOf(marks) }
}

export function JourneyPage() {
  const { value, error } = useAnswer(askJourney, [])
  const shapes = useAnswer(allShapes, [])
  const trouble = error ?? shapes.error
  if (trouble) return <Trouble error={trouble} />
  return (
    <Page
      title="Your journey"
      class="journey"
      aside={
        <a class="button" href="#/countries">
          <Icon sign="search" /> Find a country
        </a>
      }
    >
      <Tally overview={value?.overview} />
      <div class="map-frame">
        <WorldMap shapes={shapes.value} marks={value?.marks ?? new Map()} />
        {value?.marks.size === 0 && (
          <a class="button first-step" href="#/countries">
            Mark the first country you have been to
          </a>
        )}
      </div>
      <div class="columns">
        <Regions overview={value?.overview} />
        <div>
          <Wishes />
          <Latest />
        </div>
      </div>
    </Page>
  )
}

function Tally({ overview }: { overview: Overview | undefined }) {
  const visited = overview?.regions.filter(({ been }) => been > 0).length
  return (
    <dl class="tally" data-testid="tally">
      <Figure name="countries been to" value={overview?.been} of={overview?.all} href={addressOf({ mark: 'been' })} />
      <Figure name="want to go" value={overview?.want} href={addressOf({ mark: 'want' })} />
      <Figure name="regions seen" value={visited} of={overview?.regions.length} />
      <Figure name="of the world’s land" value={overview && percent(overview.land)} />
    </dl>
  )
}

interface FigureProperties {
  name: string
  value: number | string | undefined
  of?: number | undefined
  href?: string
}

function Figure({ name, value, of, href }: FigureProperties) {
  return (
    <div>
      <dt>
        {href ? (
          <a class="tally-link" href={href}>
            {name}
          </a>
        ) : (
          name
        )}
      </dt>
      <dd>
        {value ?? '–'}
        {of !== undefined && <small> of {of}</small>}
      </dd>
    </div>
  )
}

function percent(part: number): string {
  if (part > 0 && part < 0.01) return '<1%'
  return `${Math.round(part * 100)}%`
}

function Regions({ overview }: { overview: Overview | undefined }) {
  return (
    <section aria-labelledby="regions-title">
      <h2 id="regions-title">By region</h2>
      <ul class="regions">
        {overview?.regions.map(({ region, been, want, all }) => (
          <li key={region}>
            <a href={addressOf({ region })}>
              <span class="region-name">{region}</span>
              <span class="region-count">
                {been} of {all}
              </span>
              <span class="bar-track" aria-hidden="true">
                <span class="bar-been" style={{ width: `${(been / all) * 100}%` }} />
                <span class="bar-want" style={{ width: `${(want / all) * 100}%` }} />
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  )
}

const askWishes = async () => {
  const marks = await allMarks()
  return rowsOf([...marks].filter(([, mark]) => mark === 'want').map(([code]) => code))
}

function Wishes() {
  const { value } = useAnswer(askWishes, [])
  if (!value) return null
  return (
    <section aria-labelledby="wishes-title">
      <h2 id="wishes-title">Where to next</h2>
      {value.length === 0 ? (
        <p class="quiet">
          Nothing on the list yet. Mark a country with <Icon sign="heart" size={16} /> and it waits for you here.
        </p>
      ) : (
        <ul class="chips">
          {value.slice(0, wishesShown).map((country) => (
            <li key={country.cca3}>
              <CountryLink country={country} mark="want" />
            </li>
          ))}
          {value.length > wishesShown && (
            <li>
              <a class="chip" href={addressOf({ mark: 'want' })}>
                {value.length - wishesShown} more
              </a>
            </li>
          )}
        </ul>
      )}
    </section>
  )
}

const askLatest = async () => {
  const notes = await listNotes({ limit: latestNotes })
  const rows = await rowsOf(notes.map(({ country }) => country))
  return notes.map((note) => ({ note, place: rows.find(({ cca3 }) => cca3 === note.country)?.name.common }))
}

function Latest() {
  const { value } = useAnswer(askLatest, [])
  if (!value) return null
  return (
    <section aria-labelledby="latest-title">
      <h2 id="latest-title">Latest notes</h2>
      {value.length === 0 ? (
        <Empty sign="pen" title="No notes yet">
          <p>What did you see, eat, learn? Start with any country.</p>
          <a class="button" href="#/note/new">
            Write a note
          </a>
        </Empty>
      ) : (
        <div class="cards">
          {value.map(({ note, place }) => (
            <NoteCard key={note._id} note={note} place={place} />
          ))}
        </div>
      )}
    </section>
  )
}
